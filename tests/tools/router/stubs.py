"""Servers that stand for Synapse processes: each answers with its own name and with what it was asked.

They are real HTTP/1.1 servers on loopback, all in one thread. Each can be stopped and started on the same port, so
that tests see what the router does when a process dies.
"""

import asyncio
import json
import threading
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Stub:
    """One process. `port` answers requests and /health; it stays the same over stop and start."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, host: str = "127.0.0.1", port: int = 0) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.requests = 0
        self._loop = loop
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            transport = writer.transport
            assert isinstance(transport, asyncio.Transport)
            transport.abort()

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)

    def stop(self) -> None:
        """Die: the port refuses connections, and the open ones are reset."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> int:
        if headers.get("transfer-encoding") == "chunked":
            total = 0
            while size := int((await reader.readline()).strip() or b"0", 16):
                await reader.readexactly(size + 2)
                total += size
            await reader.readline()
            return total
        length = int(headers.get("content-length", "0"))
        await reader.readexactly(length)
        return length

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = (await reader.readline()).decode()
        if not line:
            return False
        method, target, _ = line.split()
        headers: dict[str, str] = {}
        lists: dict[str, list[str]] = {}
        while (raw := (await reader.readline()).decode().rstrip("\r\n")) != "":
            name, _, value = raw.partition(":")
            headers[name.lower()] = value.strip()
            lists.setdefault(name.lower(), []).append(value.strip())
        size = await self._body(reader, headers)
        query = parse_qs(urlsplit(target).query)
        if urlsplit(target).path != "/health":
            self.requests += 1
            if "stub_sleep" in query:
                await asyncio.sleep(float(query["stub_sleep"][0]))
            if "stub_break" in query:
                return False
        answer = {"name": self.name, "method": method, "target": target, "headers": lists, "body": size}
        body = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + (b"" if method == "HEAD" else body))
        await writer.drain()
        return True


class Stubs:
    """A thread with an event loop and the stubs in it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.by_name: dict[str, Stub] = {}

    def __enter__(self) -> "Stubs":
        self._thread.start()
        return self

    def add(self, name: str, host: str = "127.0.0.1", port: int = 0) -> Stub:
        stub = Stub(name, self.loop, host, port)
        stub.start()
        self.by_name[name] = stub
        return stub

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stub in self.by_name.values():
            stub.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


def wait_for(condition: Any, seconds: float, what: str) -> float:
    """Seconds until `condition()` was true; an AssertionError with `what` when it was not in time."""
    start = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - start
        if time.monotonic() - start > seconds:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)
