"""A real node comes, goes on after a kill, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
from pathlib import Path

from sandbox.api import Api, core, group
from sandbox.cluster import Cluster, read_status
from sandbox.images.recipes import PAUSE
from sandbox.node import images, layout, lifecycle, volumes
from sandbox.process import Identity
from tests.cluster import objects

_IMAGE = "a.invalid/valkey:1"
_PROBE = "getent hosts kubernetes.default.svc && valkey-cli ping"  # asks DNS as well


def _traces() -> dict[str, set[str]]:
    """What a node could leave on a machine, as the machine tells it."""

    def lines(*command: str) -> set[str]:
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())

    return {
        "mounts": set(Path("/proc/self/mounts").read_text().splitlines()),
        "links": {path.name for path in Path("/sys/class/net").iterdir()},
        "routes": lines("ip", "route", "show", "table", "all"),
        "network namespaces": lines("ip", "netns", "list"),
        "cgroups": {str(p) for p in Path("/sys/fs/cgroup").rglob("sandbox-*")},
        "netfilter": set(Path("/proc/net/ip_tables_names").read_text().split())
        if Path("/proc/net/ip_tables_names").is_file()
        else set(),
        "settings": {
            f"{name}={Path('/proc/sys', name).read_text().strip()}"
            for name in ("net/ipv4/ip_forward", "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")
        },
        "files": {
            str(p) for d in ("/run", "/var/lib", "/var/log", "/opt", "/etc", "/usr/libexec") for p in Path(d).iterdir()
        },
    }


def _claim_and_pod(api: Api) -> None:
    """A Valkey that writes to a volume, behind a Service."""
    api.apply(
        group("storage.k8s.io/v1", "storageclasses", name="directory"),
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "directory"},
            "provisioner": volumes.PROVISIONER,
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "directory"}
    bodies = {
        "persistentvolumeclaims": ("PersistentVolumeClaim", claim | {"resources": {"requests": {"storage": "1Gi"}}}),
        "services": ("Service", {"selector": {"app": "trial"}, "ports": [{"port": 6379}]}),
        "pods": (
            "Pod",
            {
                "securityContext": {"runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [
                    {
                        "name": "valkey",
                        "image": _IMAGE,
                        "command": ["valkey-server", "--dir", "/data", "--appendonly", "yes", "--protected-mode", "no"],
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                        "readinessProbe": {"exec": {"command": ["sh", "-c", _PROBE]}},
                    }
                ],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "trial"}}],
            },
        ),
    }
    for plural, (kind, spec) in bodies.items():
        metadata = {"name": "trial", "labels": {"app": "trial"}}
        api.create(core(plural, "default"), {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec})


def _answer(api: Api, command: str) -> str | None:
    """What the Service's address answers to one command from the machine; None when nobody answers."""
    service = api.get(core("services", "default", "trial"))
    assert service is not None
    try:
        with socket.create_connection((service["spec"]["clusterIP"], 6379), timeout=5) as connection:
            connection.sendall(command.encode() + b"\r\n")
            return connection.recv(200).decode().strip() or None
    except OSError:
        return None


def test_a_node_runs_pods_survives_a_kill_and_leaves_nothing(state: Path) -> None:
    """One test, because each step needs the one before: the order is the point."""
    lifecycle.down(state)
    before = _traces()
    cluster: Cluster = lifecycle.up(state)
    assert set(images.bring(state, {"valkey": _IMAGE})) == {layout.PAUSE_IMAGE, _IMAGE}
    assert images.bring(state, {"valkey": _IMAGE}) == [], f"an image (also {PAUSE}) is brought once"

    _claim_and_pod(cluster.api)
    objects.wait(cluster.api, "the Service answers", lambda: _answer(cluster.api, "SET a 1") == "+OK", 60)

    status = read_status(state)
    assert status is not None
    recorded = [Identity(**p) for p in status["processes"].values()]
    inside = images.first_process(state, layout.DEFAULT[0])
    os.kill(status["supervisor"]["pid"], signal.SIGKILL)
    assert all(identity.wait(10) for identity in recorded), "the processes end with their supervisor"
    first = Identity.of(inside)
    assert first is None or first.wait(10), "the node ends with its supervisor"
    left = _traces()
    differing = {kind for kind in before if before[kind] != left[kind]}
    assert differing <= {"cgroups"}, f"a killed node left {[left[k] - before[k] for k in differing]}"

    cluster = lifecycle.up(state)
    assert images.bring(state, {"valkey": _IMAGE}) == [], "images stay over a kill"
    # The cluster believes for a while what it knew before, so only an answer tells that the pod runs again.
    objects.wait(cluster.api, "the pod answers again", lambda: _answer(cluster.api, "GET a") is not None, 90)
    assert _answer(cluster.api, "GET a") == "$1\r\n1", "the volume's data stay over a kill"

    lifecycle.down(state)
    after = _traces()
    for kind, known in before.items():
        assert after[kind] == known, f"down leaves {kind}: {after[kind] ^ known}"
    assert not state.exists()
