"""`python -m sandbox.node.machine <directory>`: the first process of a node, inside the node's new namespaces.

It makes the node's view of the file system and network, starts the programs that `machine.json` names, starts them
again when they end, and collects every orphan. When it ends, the kernel ends everything in the node.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sandbox.node.layout import CABLES, HOME

_CGROUPS = Path("/sys/fs/cgroup")
# What kubelet sets for the whole machine at start. It reads and writes files of ours in their place.
_SHIELDED = (
    *("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"),
)
_RESTARTS = 8  # within _WINDOW seconds, per program; kubelet ends a few times while the API server comes up
_WINDOW = 60.0
_CABLE_SECONDS = 20.0


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def mount_all(data: Path) -> None:
    """A fresh /run, the node's data at HOME, a /var whose changes stay in the node's data."""
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    HOME.mkdir()
    run("mount", "--bind", str(data), str(HOME))
    for name in ("upper", "work"):
        (HOME / "var" / name).mkdir(parents=True, exist_ok=True)
    layers = f"lowerdir=/var,upperdir={HOME}/var/upper,workdir={HOME}/var/work"
    run("mount", "-t", "overlay", "overlay", "-o", layers, "/var")
    for name in _SHIELDED:
        setting = Path("/proc/sys") / name
        if setting.is_file():
            copy = Path("/run/sysctl") / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(setting.read_text())
            run("mount", "--bind", str(copy), str(setting))
    run("mount", "--make-rshared", "/")  # among the node's own mounts: volumes must reach containers


def cgroup_directories(name: str) -> list[Path]:
    """The node's directory in each cgroup hierarchy of the machine."""
    if (_CGROUPS / "cgroup.controllers").is_file():
        return [_CGROUPS / name]
    return [d / name for d in sorted(_CGROUPS.iterdir()) if d.is_dir() and not d.is_symlink()]


def make_cgroups(name: str) -> None:
    """`name` may have several parts; every level is made ready for the next."""
    parts = Path(name).parts
    for depth in range(1, len(parts) + 1):
        for path in cgroup_directories("/".join(parts[:depth])):
            path.mkdir(exist_ok=True)
            control = path.parent / "cgroup.subtree_control"
            if control.is_file() and (path.parent / "cgroup.controllers").is_file():
                available = (path.parent / "cgroup.controllers").read_text().split()
                control.write_text(" ".join(f"+{controller}" for controller in available))
            for setting in ("cpuset.cpus", "cpuset.mems"):  # the old cpuset starts empty and takes no process like that
                if path.is_relative_to(_CGROUPS / "cpuset"):
                    (path / setting).write_text((path.parent / setting).read_text())


def connect(address: str, routes: dict[str, str]) -> None:
    """This end of the cable. There is no default route: nothing in the node reaches beyond the machine."""
    run("ip", "link", "set", "lo", "up")
    deadline = time.monotonic() + _CABLE_SECONDS
    while subprocess.run(["ip", "link", "show", "eth0"], capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError("the network cable of the node did not appear")
        time.sleep(0.05)
    run("ip", "address", "add", f"{address}/{CABLES.prefixlen}", "dev", "eth0")
    run("ip", "link", "set", "eth0", "up")
    for network, via in routes.items():
        run("ip", "route", "add", network, "via", via)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    (HOME / "resolv.conf").write_text(f"nameserver {address}\n")


class Daemons:
    """The node's programs by process id."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.commands: dict[str, list[str]] = description["daemons"]
        self.variables = {"PATH": f"{HOME}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}
        self.running: dict[int, str] = {}
        self.ended: dict[str, list[float]] = {}

    def start(self, name: str) -> None:
        log = f"{HOME}/logs/{name}.log"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        output = [(os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
        command = self.commands[name]
        self.running[os.posix_spawn(command[0], command, self.variables, file_actions=output)] = name

    def keep_up(self) -> None:
        """Wait for children for ever; a program that ends is started again, and one that keeps ending ends the node."""
        for name in self.commands:
            self.start(name)
        while True:
            pid, status = os.waitpid(-1, 0)
            name = self.running.pop(pid, "")
            if not name:
                continue
            now = time.monotonic()
            recent = [t for t in self.ended.get(name, []) if now - t < _WINDOW]
            print(f"{name} ended with {os.waitstatus_to_exitcode(status)}", flush=True)
            if len(recent) >= _RESTARTS:
                raise RuntimeError(f"{name} ended {len(recent)} times within a minute (see its log)")
            self.ended[name] = [*recent, now]
            time.sleep(1)
            self.start(name)


def main() -> int:
    data = Path(sys.argv[1])
    description = json.loads((data / "machine.json").read_text())
    mount_all(data)
    (HOME / "logs").mkdir(exist_ok=True)
    make_cgroups(description["cgroup"])
    run("hostname", description["name"])
    connect(description["address"], description["routes"])
    print(f"{description['name']} is {description['address']}", flush=True)
    Daemons(description).keep_up()
    return 1


if __name__ == "__main__":
    sys.exit(main())
