"""A name server on loopback, as small as the router's resolvers need: addresses of pods, which tests change."""

import asyncio
import socket
import struct
from typing import Any

from tests.tools.router.stubs import Stubs

_A = 1
_NOERROR, _SERVFAIL, _NXDOMAIN = 0, 2, 3
_RESPONSE = 0x8580  # response, authoritative, recursion desired and available


class Names(asyncio.DatagramProtocol):
    """Answers for what is in `records`; everything else does not exist. `broken`: says SERVFAIL, as in an outage."""

    def __init__(self) -> None:
        self.records: dict[str, str] = {}
        self.broken = False
        self.asked: set[str] = set()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        labels = []
        position = 12
        while length := data[position]:
            labels.append(data[position + 1 : position + 1 + length].decode())
            position += 1 + length
        (kind,) = struct.unpack("!H", data[position + 1 : position + 3])
        question = data[12 : position + 5]
        name = ".".join(labels).lower()
        self.asked.add(name)
        found = self.records.get(name)
        code = _SERVFAIL if self.broken else _NOERROR if found else _NXDOMAIN
        answer = b""
        if found and kind == _A and not self.broken:
            answer = struct.pack("!HHHIH", 0xC00C, _A, 1, 1, 4) + socket.inet_aton(found)
        head = data[:2] + struct.pack("!HHHHH", _RESPONSE | code, 1, 1 if answer else 0, 0, 0)
        self._transport.sendto(head + question + answer, address)

    @classmethod
    def start(cls, stubs: Stubs) -> tuple["Names", str]:
        """A server in the stubs' thread, and its host:port."""
        names = cls()

        async def listen() -> str:
            transport, _ = await stubs.loop.create_datagram_endpoint(lambda: names, local_addr=("127.0.0.1", 0))
            host, port = transport.get_extra_info("sockname")
            return f"{host}:{port}"

        return names, str(stubs.run(listen()))
