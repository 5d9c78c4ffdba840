"""Where a node is: its addresses and its paths. Nothing here touches the machine."""

import hashlib
import ipaddress
from pathlib import Path

from sandbox.credentials import POD_RANGE, SERVICE_RANGE

NODE_NAME = "node-1"
DOMAIN = "cluster.local"
# Both ends of the cable between the machine and the node: the top of the pod range, where no pod gets an address.
_CABLE = ipaddress.ip_network("198.18.255.0/30")
MACHINE_ADDRESS, NODE_ADDRESS = (str(address) for address in _CABLE.hosts())
CABLE_PREFIX = _CABLE.prefixlen
# What this node gives its pods; the rest of POD_RANGE is for the cable.
NODE_PODS = str(next(ipaddress.ip_network(POD_RANGE).subnets(new_prefix=17)))
ROUTES = (NODE_PODS, SERVICE_RANGE)
API_SERVICE_ADDRESS = str(next(ipaddress.ip_network(SERVICE_RANGE).hosts()))

# The words before a command that runs in new namespaces, all of which end with its first process.
UNSHARE = ("unshare", "--fork", "--kill-child", "--pid", "--mount", "--mount-proc", "--net", "--uts", "--ipc")

# Inside the node's own file system view. Short and equal everywhere: socket paths end at 107 characters.
HOME = Path("/run/node")
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
VOLUMES = HOME / "volumes"
PAUSE_IMAGE = "localhost/sandbox/pause:1"


def directory(state: Path) -> Path:
    """Data of the node, outside; the node sees it as HOME."""
    return state / "node"


def identifier(state: Path) -> str:
    """Distinguishes the network cable and cgroups of this sandbox from everything else on the machine."""
    return "sandbox-" + hashlib.sha256(str(state).encode()).hexdigest()[:6]
