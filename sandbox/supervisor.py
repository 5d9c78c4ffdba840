"""`python -m sandbox.supervisor <state>`: the one process that starts a sandbox cluster, keeps it up and ends it.

It is started in a session of its own, so it outlives the shell that asked for it. Every pid is recorded with its start
time in `status.json`; `down` ends what is recorded there and nothing else. When the supervisor is killed, the kernel
kills its children; the data stay, and the next start goes on from them.
"""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sandbox import toolchain
from sandbox.api import Api, ApiError, group
from sandbox.components import Component, environment, prepare
from sandbox.process import Identity, die_with_parent

_RESTARTS = 5  # within _RESTART_WINDOW seconds; more means that it will not come up
_RESTART_WINDOW = 60.0
_READY_SECONDS = 60.0  # five seconds are usual; a machine that compiles at the same time needs longer


class Supervisor:
    """State of one cluster's processes. Only the main thread starts children (the kernel ties them to that thread)."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.components, self.kubeconfig = self.prepare()
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.restarts: dict[str, list[float]] = {}
        self.began = time.monotonic()
        self.seconds: dict[str, float] = {}
        self.stopping = False
        (state / "logs").mkdir(exist_ok=True)

    def prepare(self) -> tuple[list[Component], Path]:
        """The processes and the kubeconfig; another kind of cluster has others."""
        return prepare(self.state)

    # ---- records -----------------------------------------------------------------------------------------------------

    def record(self, phase: str, message: str = "") -> None:
        """Write status.json, whole or not at all."""
        processes: dict[str, Any] = {}
        for name, child in self.children.items():
            identity = Identity.of(child.pid)
            if identity:
                processes[name] = {"pid": identity.pid, "started": identity.started}
        own = Identity.of(os.getpid())
        assert own is not None
        status = {
            "phase": phase,
            "message": message,
            "supervisor": {"pid": own.pid, "started": own.started},
            "processes": processes,
            "kubeconfig": str(self.kubeconfig),
            "programs": {c.name: c.command[0] for c in self.components},
            "seconds": self.seconds,
        }
        temporary = self.state / "status.json.new"
        temporary.write_text(json.dumps(status, indent=1))
        temporary.replace(self.state / "status.json")

    def log(self, name: str) -> Path:
        return self.state / "logs" / f"{name}.log"

    # ---- processes ---------------------------------------------------------------------------------------------------

    def start(self, component: Component) -> None:
        with self.log(component.name).open("ab") as output:
            self.children[component.name] = subprocess.Popen(
                component.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(),
                cwd=self.state,
                preexec_fn=die_with_parent,
            )

    def check_children(self) -> None:
        """Start again what has ended; give up on what keeps ending."""
        for component in self.components:
            child = self.children.get(component.name)
            if child is None or child.poll() is None:
                continue
            now = time.monotonic()
            recent = [t for t in self.restarts.get(component.name, []) if now - t < _RESTART_WINDOW]
            if len(recent) >= _RESTARTS:
                raise RuntimeError(f"{component.name} ended {len(recent)} times within a minute (see its log)")
            print(f"{component.name} ended with {child.returncode}, starting it again", flush=True)
            self.restarts[component.name] = [*recent, now]
            self.start(component)

    def stop(self) -> None:
        """End everything, etcd last and gently, so that its data are whole."""
        self.stopping = True
        for last in (False, True):
            chosen = [c for c in self.components if (c.name == "etcd") == last and c.name in self.children]
            for component in chosen:
                if self.children[component.name].poll() is None:
                    self.children[component.name].terminate()
            for component in chosen:
                child = self.children[component.name]
                try:
                    child.wait(component.grace)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()

    # ---- start-up ----------------------------------------------------------------------------------------------------

    def bring_up(self) -> None:
        self.record("starting")
        api = self.bring_up_control_plane()
        self.start_named("kwok", "simulated-operators")
        self.record("starting", "default service account")
        self.wait_until(lambda: api.get("/api/v1/namespaces/default/serviceaccounts/default") is not None)
        self.seconds["ready"] = time.monotonic() - self.began

    def start_named(self, *names: str) -> None:
        for name in names:
            self.start(next(c for c in self.components if c.name == name))

    def bring_up_control_plane(self) -> Api:
        """etcd to scheduler, with every custom resource definition served."""
        self.start_named("etcd", "kube-apiserver")
        self.record("starting", "waiting for the API server")
        api = self.wait_for_api()
        self.seconds["api server"] = time.monotonic() - self.began
        self.start_named("kube-controller-manager", "kube-scheduler")
        self.record("starting", "custom resource definitions")
        apply_crds(api)
        self.wait_until(lambda: crds_served(api))
        self.seconds["custom resource definitions"] = time.monotonic() - self.began
        return api

    def wait_for_api(self) -> Api:
        api = Api(self.kubeconfig, timeout=10)
        self.wait_until(lambda: api.request("GET", "/readyz") == "ok")
        return api

    def wait_until(self, true: Any) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        last = ""
        while time.monotonic() < deadline:
            self.check_children()
            try:
                if true():
                    return
            except (OSError, ApiError) as error:
                last = str(error)
            time.sleep(0.1)
        raise RuntimeError(f"the control plane was not ready within {_READY_SECONDS:.0f} s; last answer: {last}")

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.on_signal)
        try:
            self.bring_up()
            self.record("ready")
            while not self.stopping:
                time.sleep(0.5)
                before = {name: child.pid for name, child in self.children.items()}
                self.check_children()
                if before != {name: child.pid for name, child in self.children.items()}:
                    self.record("ready")
        except SystemExit:
            pass
        except Exception as error:
            print(f"supervisor: {error}", flush=True)
            self.stop()
            self.record("failed", str(error))
            return 1
        self.stop()
        self.record("stopped")
        return 0

    def on_signal(self, number: int, frame: object) -> None:
        raise SystemExit


def apply_crds(api: Api) -> None:
    """Server-side apply of every definition that the cluster does not have in this version yet."""
    directory = toolchain.directory("crds")
    marker = {"data": {"crds": directory.name}}
    known = api.get("/api/v1/namespaces/kube-system/configmaps/sandbox")
    if known and known.get("data") == marker["data"]:
        return
    files = sorted(directory.rglob("*.yaml"), key=lambda path: -path.stat().st_size)

    def apply(path: Path) -> None:
        name = path.stem.partition("_")[2] + "." + path.stem.partition("_")[0]
        api.apply(group("apiextensions.k8s.io/v1", "customresourcedefinitions", name=name), path.read_bytes())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(apply, files))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sandbox"}, **marker}
    api.apply("/api/v1/namespaces/kube-system/configmaps/sandbox", body)


def crds_served(api: Api) -> bool:
    """Whether every definition answers in discovery; what starts before that misses it or stops."""
    wanted: dict[str, set[str]] = {}
    for definition in api.list(group("apiextensions.k8s.io/v1", "customresourcedefinitions")):
        for version in definition["spec"]["versions"]:
            if version["served"]:
                path = f"/apis/{definition['spec']['group']}/{version['name']}"
                wanted.setdefault(path, set()).add(definition["spec"]["names"]["plural"])
    return all(
        plurals <= {resource["name"] for resource in api.request("GET", path)["resources"]}
        for path, plurals in wanted.items()
    )


if __name__ == "__main__":
    sys.exit(Supervisor(Path(sys.argv[1])).run())
