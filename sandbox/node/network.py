"""`python -m sandbox.node.network <state>`: starts the nodes in namespaces of their own and connects them.

A switch (a bridge in a network namespace of its own) has a cable (a veth pair) to every node and one to the machine.
That last cable and its routes are all that nodes have outside their own namespaces, and the kernel removes them with
the switch's namespace. A node that ends is started again; when the switch ends, everything does.
"""

import subprocess
import sys
import time
from pathlib import Path

from sandbox.node.layout import CABLES, MACHINE_ADDRESS, UNSHARE, Node, identifier, read_nodes, routes
from sandbox.process import die_with_parent

_NAMESPACE_SECONDS = 10.0
_PAUSE = 1.0  # before a node that ended is started again


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _in_namespaces(*command: str) -> subprocess.Popen[bytes]:
    """Start a process in new namespaces; returns when it has them."""
    own = Path("/proc/self/ns/net").readlink()
    process = subprocess.Popen(command, preexec_fn=die_with_parent)
    deadline = time.monotonic() + _NAMESPACE_SECONDS
    while Path(f"/proc/{process.pid}/ns/net").readlink() == own:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"no namespaces for: {' '.join(command)}")
        time.sleep(0.02)
    return process


def start_switch(state: Path, nodes: tuple[Node, ...]) -> subprocess.Popen[bytes]:
    """The bridge, with the machine on it."""
    switch = _in_namespaces("unshare", "--net", "sleep", "infinity")
    inside = ("nsenter", f"--target={switch.pid}", "--net", "ip", "link")
    _run(*inside, "add", "switch", "type", "bridge")
    _run(*inside, "set", "switch", "up")
    name = identifier(state)
    _run("ip", "link", "add", name, "type", "veth", "peer", "name", "machine", "netns", str(switch.pid))
    _run(*inside, "set", "machine", "master", "switch", "up")
    _run("ip", "address", "add", f"{MACHINE_ADDRESS}/{CABLES.prefixlen}", "dev", name)
    _run("ip", "link", "set", name, "up")
    for network, via in routes(nodes).items():
        _run("ip", "route", "add", network, "via", via, "dev", name)
    return switch


def start_node(state: Path, node: Node, switch: int) -> subprocess.Popen[bytes]:
    process = _in_namespaces(*UNSHARE, sys.executable, "-m", "sandbox.node.machine", str(node.directory(state)))
    port = f"port{node.index}"
    inside = ("nsenter", f"--target={switch}", "--net", "ip", "link")
    _run(*inside, "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(process.pid))
    _run(*inside, "set", port, "master", "switch", "up")
    return process


def main() -> int:
    state = Path(sys.argv[1])
    nodes = read_nodes(state)
    switch = start_switch(state, nodes)
    running = [start_node(state, node, switch.pid) for node in nodes]
    while switch.poll() is None:
        for node in nodes:
            code = running[node.index].poll()
            if code is not None:
                print(f"{node.name} ended with {code}, starting it again", flush=True)
                time.sleep(_PAUSE)
                running[node.index] = start_node(state, node, switch.pid)
        time.sleep(0.2)
    return 1


if __name__ == "__main__":
    sys.exit(main())
