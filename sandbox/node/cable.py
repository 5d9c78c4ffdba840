"""`python -m sandbox.node.cable <state>`: starts the node in new namespaces and connects it to the machine.

The cable (a veth pair) and its routes are all that a node has outside its own namespaces. The kernel removes both with
the node's network namespace, which is gone when its last process is.
"""

import subprocess
import sys
import time
from pathlib import Path

from sandbox.node.layout import CABLE_PREFIX, MACHINE_ADDRESS, NODE_ADDRESS, ROUTES, UNSHARE, identifier
from sandbox.process import die_with_parent

_NAMESPACE_SECONDS = 10.0


def connect(state: Path, pid: int) -> None:
    """Lay the cable into the network namespace of `pid`, with the routes to pods and services."""
    name = identifier(state)
    add = ["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(pid)]
    up = ["ip", "link", "set", name, "up"]
    address = ["ip", "address", "add", f"{MACHINE_ADDRESS}/{CABLE_PREFIX}", "dev", name]
    routes = [["ip", "route", "add", network, "via", NODE_ADDRESS, "dev", name] for network in ROUTES]
    for command in (add, address, up, *routes):
        subprocess.run(command, check=True)


def main() -> int:
    state = Path(sys.argv[1])
    own = Path("/proc/self/ns/net").readlink()
    node = subprocess.Popen(
        [*UNSHARE, sys.executable, "-m", "sandbox.node.machine", str(state)], preexec_fn=die_with_parent
    )
    deadline = time.monotonic() + _NAMESPACE_SECONDS
    while Path(f"/proc/{node.pid}/ns/net").readlink() == own:
        if node.poll() is not None or time.monotonic() > deadline:
            print("the node got no namespaces", flush=True)
            return 1
        time.sleep(0.02)
    connect(state, node.pid)
    return node.wait()


if __name__ == "__main__":
    sys.exit(main())
