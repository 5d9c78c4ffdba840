"""Runs Pulumi programs in the sandbox and tells what the engine did."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from sandbox.api import Api, Json, core
from sandbox.engine import Result
from sandbox.nodes import serve_classes, serve_nodes
from sandbox.session import Session

PROGRAMS = Path(__file__).resolve().parent / "programs"
# Kinds that Kubernetes itself keeps in every namespace.
_BUILT_IN = {("configmaps", "kube-root-ca.crt"), ("serviceaccounts", "default")}
_KINDS = (
    ("/api/v1", ("pods", "services", "configmaps", "secrets", "persistentvolumeclaims", "serviceaccounts")),
    ("/apis/apps/v1", ("deployments", "statefulsets", "replicasets")),
    ("/apis/batch/v1", ("jobs",)),
    ("/apis/postgresql.cnpg.io/v1", ("clusters",)),
)


class Program:
    """One Pulumi program with one stack on the sandbox's backend; `config` is that of its next run."""

    def __init__(self, session: Session, directory: Path, work: Path, stack: str = "test") -> None:
        self.session = session
        self.directory = directory
        self.stack = stack
        self.config: dict[str, Any] = {}
        self._salt = session.engine.create_stack(directory, stack)
        self._file = work / f"Pulumi.{stack}.yaml"
        self._log = work / "pulumi.log"

    def _write_config(self) -> None:
        document = {"encryptionsalt": self._salt, "config": self.config}
        self._file.write_text(yaml.safe_dump(document))

    def run(self, operation: str, *arguments: str) -> Result:
        self._write_config()
        return self.session.engine.run(
            operation, self.directory, self.stack, config_file=self._file, arguments=arguments, log=self._log
        )

    @contextmanager
    def started(self, operation: str) -> Iterator["subprocess.Popen[bytes]"]:
        """The engine at work, for tests that disturb it; it has ended when the block is left."""
        self._write_config()
        engine = self.session.engine
        command = [str(engine.programs / "pulumi"), "--non-interactive", operation, "--yes", "--skip-preview"]
        command += ["--stack", self.stack, "--config-file", str(self._file)]
        with self._log.open("w") as log:
            process = subprocess.Popen(
                command, cwd=self.directory, env=engine.variables(), stdout=log, stderr=subprocess.STDOUT
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def up(self, *arguments: str) -> Result:
        """`pulumi up`; a failure is the test's failure, with the engine's own words."""
        result = self.run("up", *arguments)
        assert result.ok, f"pulumi up failed:\n{result.output[-4000:]}"
        return result

    def destroy(self) -> Result:
        result = self.run("destroy")
        assert result.ok, f"pulumi destroy failed:\n{result.output[-4000:]}"
        return result


def machines(api: Api, count: int, *, cpu: int = 8, memory: str = "16Gi", classes: Sequence[str] = ("fast",)) -> None:
    """Give the cluster `count` equal machines and nothing else."""
    capacity = {"cpu": str(cpu), "memory": memory, "pods": "110"}
    nodes: list[Json] = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": f"machine-{n}", "labels": {"kubernetes.io/hostname": f"machine-{n}"}},
            "spec": {},
            "status": {"capacity": capacity, "allocatable": capacity},
        }
        for n in range(1, count + 1)
    ]
    serve_nodes(api, nodes)
    serve_classes(api, list(classes))


def left_over(api: Api, namespace: str) -> list[str]:
    """What is in a namespace beyond what Kubernetes itself puts there."""
    found = []
    for root, kinds in _KINDS:
        for kind in kinds:
            for item in api.list(f"{root}/namespaces/{namespace}/{kind}"):
                if (kind, item["metadata"]["name"]) not in _BUILT_IN:
                    found.append(f"{kind}/{item['metadata']['name']}")
    return found


def pods(api: Api, namespace: str) -> dict[str, str]:
    """Phase of each pod by name."""
    return {p["metadata"]["name"]: p["status"]["phase"] for p in api.list(core("pods", namespace))}
