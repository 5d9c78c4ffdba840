"""Starts Synapse processes from the files that a plan renders, with the pods' own start script, on this machine.

Only addresses differ from what a pod has: every listener gets a free port of loopback, and PostgreSQL, Redis and S3
are the test's. Secrets, names, lists, sizes and the way to start are the rendered ones.
"""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import yaml

from components.synapse import paths
from components.synapse.instances import writer_shards
from components.synapse.plan import SynapsePlan
from components.synapse.pods import wait_container
from components.synapse.process_types import ProcessType
from components.synapse.processes import Process
from sandbox.packages import python_environment
from tests.tools.servers import Postgres, Storage, end, free_port, wait_until
from tests.tools.synapse_files import DUMMY, in_root, lay_out

PASSWORD = "password-of-the-database"


@dataclass
class Running:
    """One process."""

    name: str
    root: Path
    ports: dict[int, int]
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.root / "log"

    def url(self, path: str, port: int = 8008) -> str:
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def healthy(self) -> bool:
        assert self.process is None or self.process.poll() is None, f"{self.name} ended:\n{self.tail()}"
        try:
            with urlopen(self.url("/health", 8080), timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


@dataclass
class Cluster:
    """A homeserver of real processes."""

    plan: SynapsePlan
    database: Postgres
    redis_port: int
    storage: Storage
    directory: Path
    processes: dict[str, Running] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for process in self.plan.processes:
            for ordinal in range(1 if process.traits.scales else process.replicas):
                name = f"{process.name}-{ordinal}"
                ports = {port: free_port() for port in (8008, 8080, 9090, 9093)}
                self.processes[name] = Running(name=name, root=self.directory / name, ports=ports)
                lay_out(self.plan, process, ordinal, self.directory / name)
                self._localize(self.processes[name], process)
        for running in self.processes.values():
            self._connect(running)

    def _edit(self, path: Path, change: Any) -> None:
        if path.exists():
            document = yaml.safe_load(path.read_text())
            change(document)
            path.write_text(yaml.safe_dump(document))

    def _localize(self, running: Running, process: Process) -> None:
        def own(document: dict[str, Any]) -> None:
            for listener in document["listeners" if process.is_main else "worker_listeners"]:
                listener["port"] = running.ports[listener["port"]]
                listener["bind_addresses"] = ["127.0.0.1"]
            document["database"]["args"].update(host="localhost", port=self.database.port)
            for provider in document.get("media_storage_providers", ()):
                provider["config"]["endpoint_url"] = self.storage.endpoint

        def shared(document: dict[str, Any]) -> None:
            document["redis"].update(host="127.0.0.1", port=self.redis_port)

        self._edit(in_root(running.root, f"{paths.PROCESS_DIR}/process.yaml"), own)
        self._edit(in_root(running.root, f"{paths.CONFIG_DIR}/homeserver.yaml"), shared)
        in_root(running.root, f"{paths.DATABASE_CA_DIR}/ca.crt").write_bytes(self.database.ca.read_bytes())
        # start.sh writes it; a left-over of the layout must not hide that it does not.
        in_root(running.root, paths.NAME_FILE).unlink(missing_ok=True)
        in_root(running.root, paths.RUN_DIR).mkdir(parents=True, exist_ok=True)

    def _connect(self, running: Running) -> None:
        def change(document: dict[str, Any]) -> None:
            for name, location in document["instance_map"].items():
                target = self.processes["synapse-main-0" if name == "main" else name]
                location.update(host="127.0.0.1", port=target.ports[9093])

        self._edit(in_root(running.root, f"{paths.INSTANCES_DIR}/instances.yaml"), change)

    def environment(self, running: Running) -> dict[str, str]:
        bin_directory = python_environment("requirements-synapse.lock").parent
        return {
            "PATH": f"{bin_directory}:{os.environ['PATH']}",
            "POD_NAME": running.name,
            "PGPASSWORD": PASSWORD,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": DUMMY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def wait_environment(self, process: Process) -> dict[str, str]:
        """What the init container of this type has, with the test's addresses."""
        made = wait_container(self.plan, process).env
        plain = {name: value for name, value in made.items() if isinstance(value, str)}
        running = self.processes[f"{process.name}-0"]
        return {
            **self.environment(running),
            **plain,
            "PGHOST": "localhost",
            "PGPORT": str(self.database.port),
            "PGSSLROOTCERT": str(self.database.ca),
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.redis_port),
        }

    def wait(self, process_type: ProcessType, **changes: str) -> subprocess.Popen[str]:
        """The init container's program, started."""
        process = self.plan.processes[process_type]
        script = in_root(self.processes[f"{process.name}-0"].root, f"{paths.CONFIG_DIR}/wait.py")
        return subprocess.Popen(
            ["python3", str(script)],
            env={**self.wait_environment(process), **changes},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start(self, *names: str, seconds: float = 180) -> None:
        """Start and wait until all of them answer."""
        for name in names:
            running = self.processes[name]
            script = in_root(running.root, f"{paths.CONFIG_DIR}/start.sh")
            role = "main" if name == "synapse-main-0" else "worker"
            with running.log.open("ab") as log:
                running.process = subprocess.Popen(
                    ["sh", str(script), role], env=self.environment(running), cwd=running.root, stdout=log, stderr=log
                )
        for name in names:
            running = self.processes[name]
            wait_until(running.healthy, name, seconds, running.log)

    def stop(self, *names: str) -> None:
        for name in names or tuple(self.processes):
            running = self.processes[name]
            if running.process:
                end(running.process)
                running.process = None

    def call(
        self,
        process: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        raw: bool = False,
    ) -> Any:
        """One request to one process; JSON, or (status, bytes) with `raw`. Any error status fails unless `raw`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/octet-stream" if isinstance(body, bytes) else "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = Request(self.processes[process].url(path), data=data, headers=headers, method=method)
        try:
            with urlopen(request, timeout=60) as answer:
                status, content = answer.status, answer.read()
        except HTTPError as error:
            status, content = error.code, error.read()
        if raw:
            return status, content
        assert status == 200, f"{method} {path} on {process}: {status} {content!r}\n{self.processes[process].tail()}"
        return json.loads(content)


def make_database(database: Postgres) -> None:
    """Role and database as CloudNativePG makes them: UTF8, collation C."""
    database.ask(f"CREATE ROLE synapse LOGIN PASSWORD '{PASSWORD}'")
    database.ask("CREATE DATABASE synapse OWNER synapse ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")


__all__ = ["Cluster", "Running", "make_database", "writer_shards"]
