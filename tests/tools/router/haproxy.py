"""A real HAProxy on loopback with a rendered router configuration, and a plain HTTP client to ask it with."""

import http.client
import json
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from components.router.files import haproxy_cfg, maps
from components.router.layout import Address, Layout
from components.router.plan import (
    FEDERATION_PORT,
    HEALTH_PORT,
    INTERNAL_PORT,
    METRICS_PORT,
    PUBLIC_PORT,
    RouterPlan,
    Server,
)
from components.router.responses import error_files, well_known_files
from sandbox import packages
from tests.tools.router.stubs import wait_for

PORTS = (PUBLIC_PORT, FEDERATION_PORT, INTERNAL_PORT, METRICS_PORT, HEALTH_PORT)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now. All are held until all are known, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for s in held:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in held]
    finally:
        for s in held:
            s.close()


def write_files(plan: RouterPlan, layout: Layout) -> Path:
    """Everything that the router's pods mount, in the layout's directory. Returns the path of haproxy.cfg."""
    directory = Path(layout.config_dir)
    directory.mkdir(parents=True, exist_ok=True)
    files = {"haproxy.cfg": haproxy_cfg(plan, layout), **maps(plan), **well_known_files(plan), **error_files()}
    for name, text in files.items():
        (directory / name).write_bytes(text.encode())
    return directory / "haproxy.cfg"


def check(config: Path) -> str:
    """What `haproxy -c -dW` complains of; empty when it is content. -dW: a warning is an error."""
    result = subprocess.run(
        [*packages.haproxy(), "-c", "-dW", "-f", str(config)], capture_output=True, text=True, check=False
    )
    return result.stderr + result.stdout if result.returncode else ""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def name(self) -> str:
        """Name of the stub that answered."""
        assert self.status == 200, f"{self.status}: {self.body!r}"
        name = self.json["name"]
        assert isinstance(name, str)
        return name

    @property
    def pool(self) -> str:
        """Name of the group of stubs that answered: without the ordinal."""
        return self.name.rpartition("-")[0].removeprefix("synapse-")


class HAProxy:
    """One running HAProxy. `address` says where a server of the plan is."""

    def __init__(
        self,
        plan: RouterPlan,
        directory: Path,
        address: Callable[[Server], Address],
        *,
        nameservers: tuple[str, ...] = (),
        edit: Callable[[str], str] = lambda text: text,
    ) -> None:
        self.plan = plan
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.layout = Layout(
            config_dir=str(directory),
            errors_dir=str(directory),
            address=address,
            listen="127.0.0.1",
            ports=self.ports,
            nameservers=nameservers,
        )
        self._config = write_files(plan, self.layout)
        self._config.write_text(edit(self._config.read_text()))
        self._log = directory / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "HAProxy":
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*packages.haproxy(), "-dW", "-db", "-f", str(self._config)], stdout=log, stderr=subprocess.STDOUT
            )
        try:
            wait_for(self._started, 30, "the router starts")
        except AssertionError as error:
            self._end()
            raise AssertionError(f"{error}\n{self.log}") from error
        return self

    def _started(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"HAProxy ended at once:\n{self.log}"
        try:
            return self.ask("GET", "/startup", port=HEALTH_PORT).status == 200
        except OSError:
            return False

    def _end(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        port: int = PUBLIC_PORT,
        timeout: float = 15,
    ) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=timeout)
        try:
            connection.request(method, target, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def raw(self, data: bytes, *, port: int = PUBLIC_PORT, timeout: float = 15) -> Reply:
        """Bytes as they are, for requests that no decent client would send."""
        with socket.create_connection(("127.0.0.1", self.ports[port]), timeout=timeout) as connection:
            connection.sendall(data)
            response = http.client.HTTPResponse(connection)
            response.begin()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
