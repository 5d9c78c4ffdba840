"""Start, find and end the sandbox cluster of a state directory, from the outside."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import toolchain
from sandbox.api import Api
from sandbox.components import environment
from sandbox.errors import SandboxError
from sandbox.locks import exclusive
from sandbox.process import Identity

_START_SECONDS = 90.0


@dataclass(frozen=True)
class Cluster:
    """A running control plane. `started_seconds`: what starting it took just now, 0 when it ran already."""

    state: Path
    kubeconfig: Path
    started_seconds: float = 0.0

    @property
    def api(self) -> Api:
        return Api(self.kubeconfig)


def read_status(state: Path) -> dict[str, Any] | None:
    try:
        status: dict[str, Any] = json.loads((state / "status.json").read_text())
    except (OSError, ValueError):
        return None
    return status


def _identities(status: dict[str, Any]) -> tuple[Identity, list[Identity]]:
    return Identity(**status["supervisor"]), [Identity(**process) for process in status["processes"].values()]


def running(state: Path) -> Cluster | None:
    """The cluster, when its supervisor lives, says ready, and the API answers."""
    status = read_status(state)
    if status is None or status["phase"] != "ready" or not _identities(status)[0].alive():
        return None
    cluster = Cluster(state, Path(status["kubeconfig"]))
    try:
        Api(cluster.kubeconfig, timeout=5).request("GET", "/readyz")
    except (OSError, ValueError):
        return None
    return cluster


SIMULATED = "sandbox.supervisor"


def ensure(state: Path, supervisor: str = SIMULATED) -> Cluster:
    """The running cluster; started (or started again on its old data) when it does not run.

    `supervisor`: module of the process that keeps it up, which is what makes the nodes simulated or real.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with exclusive(state / "start.lock", "another process that starts the control plane"):
        status = read_status(state)
        cluster = running(state)
        names = ("kube-apiserver", "etcd", *(("kwok",) if supervisor == SIMULATED else ()))
        current = {name: str(toolchain.binary(name)) for name in names}
        if cluster and status and current.items() <= status["programs"].items():
            return cluster
        if status and _end(status):
            print("ended what was left of an earlier run", flush=True)
        return _start(state, supervisor)


def _start(state: Path, supervisor: str = SIMULATED) -> Cluster:
    print("control plane … ", end="", flush=True)
    began = time.monotonic()
    (state / "logs").mkdir(exist_ok=True)
    (state / "status.json").unlink(missing_ok=True)
    log = state / "logs" / "supervisor.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", supervisor, str(state)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=state,
            env=environment()
            | {name: os.environ[name] for name in ("HOME", "PATH", "XDG_CACHE_HOME") if name in os.environ},
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        status = read_status(state) or {"phase": "starting", "message": "", "supervisor": {"pid": 0, "started": 0}}
        if status["phase"] == "ready" and status["supervisor"]["pid"] == process.pid:
            seconds = time.monotonic() - began
            print(f"{seconds:.1f} s", flush=True)
            return Cluster(state, Path(status["kubeconfig"]), seconds)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    else:
        process.terminate()
    print("failed", flush=True)
    status = read_status(state) or {"message": ""}
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise SandboxError(
        f"the control plane did not start: {status['message'] or 'the supervisor ended'}",
        detail=tail,
        hint=f"the logs of every process are in {state / 'logs'}; `make down` removes the cluster, then try again",
    )


def _end(status: dict[str, Any]) -> bool:
    """End what a status file records, by pid and start time; whether anything of it was alive."""
    supervisor, processes = _identities(status)
    alive = [identity for identity in (supervisor, *processes) if identity.alive()]
    supervisor.end(15)
    for identity in processes:
        identity.signal(signal.SIGKILL)
        identity.wait(5)
    return bool(alive)


def spare(state: Path) -> Path:
    """State directory of the second cluster that belongs to a sandbox; see Session.preview_kubeconfig."""
    return state / "spare"


def end(state: Path) -> bool:
    """End the cluster and delete its data, with the stack states that describe it. Whether there was anything."""
    if not state.is_dir():
        return False
    end(spare(state))
    with exclusive(state / "start.lock", "another process that starts the control plane"):
        status = read_status(state)
        if status:
            _end(status)
    shutil.rmtree(state)
    return True


def restart_empty(state: Path) -> Cluster:
    """A cluster without any object, in place of the one that ran. Keys, ports and tools stay."""
    with exclusive(state / "start.lock", "another process that starts the control plane"):
        status = read_status(state)
        if status:
            _end(status)
        shutil.rmtree(state / "etcd", ignore_errors=True)
        return _start(state)
