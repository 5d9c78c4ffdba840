"""The processes of a sandbox cluster: which there are, in which order, with which arguments."""

import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox import toolchain
from sandbox.credentials import POD_RANGE, SERVICE_RANGE, Authority, make_cluster_credentials, write_private
from sandbox.paths import CHECKOUT, SANDBOX

_PORTS = ("etcd", "etcd-peer", "api", "controller-manager", "scheduler")
# Simulated pods get the lower half of the range; the top of it is for load balancers without an address pool.
_POD_ADDRESSES = POD_RANGE.replace("/16", "/17")
# kwok renews leases well within this. Without leases the controller-manager calls the nodes lost after a while.
_NODE_LEASE_SECONDS = 40
# Client-side throttling would be slower than the machine: tuned by up of the large stack, where 50/s took minutes.
_QPS, _BURST = 1000, 2000


@dataclass(frozen=True)
class Component:
    """One process that the supervisor keeps running. `grace`: seconds between asking it to stop and making it."""

    name: str
    command: tuple[str, ...]
    grace: float = 2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choose_ports(state: Path) -> dict[str, int]:
    """Ports of this cluster: the recorded ones where still free (kubeconfigs stay valid), new ones otherwise."""
    record = state / "ports.json"
    known: dict[str, int] = json.loads(record.read_text()) if record.is_file() else {}
    ports = {name: known[name] if name in known and _is_free(known[name]) else free_port() for name in _PORTS}
    record.write_text(json.dumps(ports))
    return ports


_LOOPBACK = "127.0.0.1"


def prepare(
    state: Path, address: str = _LOOPBACK, api_server: Mapping[str, object] | None = None
) -> tuple[list[Component], Path]:
    """Files on disk and the list of processes, in starting order; with the kubeconfig.

    `address`: where the API server answers. `api_server`: arguments of it that differ from a simulated cluster's.
    """
    ports = choose_ports(state)
    keys = state / "credentials"
    kubeconfig = make_cluster_credentials(keys, ports["api"], address)
    _etcd_credentials(keys)
    (state / "scheduler.json").write_text(json.dumps(_scheduler(kubeconfig)))
    etcd_url, peer_url = (f"https://{_LOOPBACK}:{ports['etcd']}", f"http://{_LOOPBACK}:{ports['etcd-peer']}")
    common = {
        "kubeconfig": kubeconfig,
        "bind-address": _LOOPBACK,
        "leader-elect": "false",
        "profiling": "false",
    }
    commands: dict[str, dict[str, object]] = {
        "etcd": {
            "name": "sandbox",
            "data-dir": state / "etcd",
            "listen-client-urls": etcd_url,
            "advertise-client-urls": etcd_url,
            "listen-peer-urls": peer_url,
            "initial-advertise-peer-urls": peer_url,
            "initial-cluster": f"sandbox={peer_url}",
            "cert-file": keys / "etcd.crt",
            "key-file": keys / "etcd.key",
            "trusted-ca-file": keys / "ca.crt",
            "client-cert-auth": "true",
            "unsafe-no-fsync": "true",  # a crash of the machine may lose the sandbox; nothing else can
            "log-level": "warn",
        },
        "kube-apiserver": {
            "etcd-servers": etcd_url,
            "etcd-cafile": keys / "ca.crt",
            "etcd-certfile": keys / "etcd.crt",
            "etcd-keyfile": keys / "etcd.key",
            "bind-address": address,
            "advertise-address": address,
            "endpoint-reconciler-type": "none",  # loopback may not be an endpoint; simulated pods call nobody anyway
            "secure-port": ports["api"],
            "tls-cert-file": keys / "apiserver.crt",
            "tls-private-key-file": keys / "apiserver.key",
            "client-ca-file": keys / "ca.crt",
            "anonymous-auth": "false",
            "authorization-mode": "RBAC",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": keys / "service-account.pub",
            "service-account-signing-key-file": keys / "service-account.key",
            "service-cluster-ip-range": SERVICE_RANGE,
            "allow-privileged": "true",
            "enable-priority-and-fairness": "false",
            "max-requests-inflight": 2000,
            "max-mutating-requests-inflight": 1000,
            "profiling": "false",
        }
        | dict(api_server or {}),
        "kube-controller-manager": common
        | {
            "secure-port": ports["controller-manager"],
            "service-account-private-key-file": keys / "service-account.key",
            "root-ca-file": keys / "ca.crt",
            "cluster-signing-cert-file": keys / "ca.crt",
            "cluster-signing-key-file": keys / "ca.key",
            "kube-api-qps": _QPS,
            "kube-api-burst": _BURST,
            "concurrent-deployment-syncs": 20,
            "concurrent-statefulset-syncs": 20,
            "node-monitor-grace-period": "180s",  # a busy two-core machine may delay a lease; that is no lost node
        },
        "kube-scheduler": {
            "config": state / "scheduler.json",
            "bind-address": _LOOPBACK,
            "secure-port": ports["scheduler"],
        },
        "kwok": {
            "kubeconfig": kubeconfig,
            "manage-all-nodes": "true",
            "node-lease-duration-seconds": _NODE_LEASE_SECONDS,
            "cidr": _POD_ADDRESSES,
            "node-ip": "198.18.254.1",
            "config": ",".join(str(path) for path in sorted((SANDBOX / "stages").glob("*.yaml"))),
        },
    }
    components = [
        Component(
            name,
            (str(toolchain.binary(name)), *(f"--{key}={value}" for key, value in arguments.items())),
            grace=5 if name == "etcd" else 2,
        )
        for name, arguments in commands.items()
    ]
    operators = (sys.executable, "-m", "sandbox.simulated", str(kubeconfig), str(keys))
    return [*components, Component("simulated-operators", operators)], kubeconfig


def _etcd_credentials(keys: Path) -> None:
    if not (keys / "etcd.crt").is_file():
        certificate, key = Authority(keys, "sandbox cluster").issue("etcd", names=("127.0.0.1", "localhost"))
        write_private(keys / "etcd.key", key)
        (keys / "etcd.crt").write_bytes(certificate)


def _scheduler(kubeconfig: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": _QPS, "burst": _BURST},
        "leaderElection": {"leaderElect": False},
        "podInitialBackoffSeconds": 1,
        "podMaxBackoffSeconds": 5,  # a pod waits for its volume claim first; ten seconds more would only be slow
    }


def environment() -> dict[str, str]:
    """Environment of every process: nothing of the caller's but what programs need to run at all."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
