"""Where nodes are: their addresses and their paths. Nothing here touches the machine."""

import hashlib
import ipaddress
import json
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.credentials import POD_RANGE, SERVICE_RANGE

DOMAIN = "cluster.local"
# Pods of all nodes. What comes from outside of it (the machine, with its API server that calls webhooks) kube-proxy
# sends on under the node's own address, or the answer of a pod on another node would not find the way back.
PODS = next(ipaddress.IPv4Network(POD_RANGE).subnets(new_prefix=17))
# The network between the machine and its nodes: the top of the pod range, where no pod gets an address.
CABLES = ipaddress.ip_network("198.18.255.0/24")
MACHINE_ADDRESS = str(CABLES[1])
_FIRST_NODE = 10
MAX_NODES = 64

# The words before a command that runs in new namespaces, all of which end with its first process.
UNSHARE = ("unshare", "--fork", "--kill-child", "--pid", "--mount", "--mount-proc", "--net", "--uts", "--ipc")

# Inside a node's own file system view. Short and equal everywhere: socket paths end at 107 characters.
HOME = Path("/run/node")
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
VOLUMES = HOME / "volumes"
PAUSE_IMAGE = "localhost/sandbox/pause:1"


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node. `index`, its place among the nodes, decides its addresses; labels and taints are as in Kubernetes."""

    name: str
    index: int
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[dict[str, str], ...] = ()

    @property
    def address(self) -> str:
        return str(CABLES[_FIRST_NODE + self.index])

    @property
    def pods(self) -> str:
        """Addresses of its pods: more than the 110 that a kubelet runs."""
        return str(list(PODS.subnets(new_prefix=24))[self.index])

    def directory(self, state: Path) -> Path:
        """Its data, outside; the node sees them as HOME."""
        return state / "nodes" / self.name

    def cgroup(self, state: Path) -> str:
        return f"{identifier(state)}/{self.name}"


DEFAULT = (Node(name="node-1", index=0),)


def routes(nodes: tuple[Node, ...]) -> dict[str, str]:
    """Network -> the node that leads there. Services are everywhere; the machine asks the first node."""
    return {node.pods: node.address for node in nodes} | {SERVICE_RANGE: nodes[0].address}


def write_nodes(state: Path, nodes: tuple[Node, ...]) -> None:
    if not 1 <= len(nodes) <= MAX_NODES:
        raise ValueError(f"a sandbox has 1 to {MAX_NODES} nodes, not {len(nodes)}")
    entries = [{"name": n.name, "index": n.index, "labels": n.labels, "taints": list(n.taints)} for n in nodes]
    (state / "nodes.json").write_text(json.dumps(entries, indent=1))


def read_nodes(state: Path) -> tuple[Node, ...]:
    """The nodes of this sandbox; empty before it was started once."""
    record = state / "nodes.json"
    entries = json.loads(record.read_text()) if record.is_file() else []
    return tuple(Node(**(entry | {"taints": tuple(entry["taints"])})) for entry in entries)


def identifier(state: Path) -> str:
    """Distinguishes the network and cgroups of this sandbox from everything else on the machine."""
    return "sandbox-" + hashlib.sha256(str(state).encode()).hexdigest()[:6]
