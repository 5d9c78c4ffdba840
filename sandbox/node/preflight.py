"""Whether a real node can run on this machine; everything that stands against it is said at once."""

import ipaddress
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.node.layout import UNSHARE, identifier

_RANGE = ipaddress.ip_network("198.18.0.0/15")  # pods and services
_PROGRAMS = {"ip": "iproute2", "unshare": "util-linux", "mount": "util-linux", "hostname": "hostname"}
_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
# Bits of CapEff without which namespaces, mounts, network or foreign files do not work.
_CAPABILITIES = {"SYS_ADMIN": 21, "NET_ADMIN": 12, "CHOWN": 0, "DAC_OVERRIDE": 1, "MKNOD": 27, "SYS_PTRACE": 19}


def missing_capabilities(mask: int) -> list[str]:
    return [name for name, bit in _CAPABILITIES.items() if not mask >> bit & 1]


def missing_controllers(version_2: str | None, version_1: str) -> list[str]:
    """`version_2`: text of cgroup.controllers, None where that hierarchy is not the machine's; `version_1`: mounts."""
    if version_2 is not None:
        return [name for name in _CONTROLLERS if name not in version_2.split()]
    mounted = {
        option
        for line in version_1.splitlines()
        if len(fields := line.split()) > 3 and fields[2] == "cgroup"
        for option in fields[3].split(",")
    }
    return [name for name in _CONTROLLERS if name not in mounted]


def conflicting_routes(routes: Iterable[dict[str, str]], own: str) -> list[str]:
    """Networks of the machine that overlap with those of pods and services, other than this sandbox's own."""
    found = []
    for route in routes:
        destination = route.get("dst", "default")
        if destination == "default" or ":" in destination or route.get("dev") == own:
            continue
        if ipaddress.ip_network(destination, strict=False).overlaps(_RANGE):
            found.append(f"{destination} (device {route.get('dev', 'none')})")
    return found


def _trial(state: Path) -> str:
    """Try namespaces, overlay on the state's disk, veth and iptables' tables for real; the kernel's words, or none."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=state) as work:
        for name in ("lower", "upper", "work", "merged"):
            (Path(work) / name).mkdir()
        script = (
            'cd "$1" && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged'
            " && ip link add trial type veth peer name trial2"
        )
        result = subprocess.run(
            [*UNSHARE, "sh", "-c", script, "sh", work],
            capture_output=True,
            text=True,
            check=False,
        )
    return "" if result.returncode == 0 else result.stderr.strip() or f"ended with {result.returncode}"


def problems(state: Path) -> list[str]:
    """Everything that keeps a node from running here, in words."""
    if platform.system() != "Linux":
        return [f"this is {platform.system()}, a node needs Linux"]
    if os.geteuid() != 0:
        return ["a node needs root: namespaces, mounts, cgroups and a network cable"]
    found = [
        f"{program} is missing (Debian's package {package})"
        for program, package in _PROGRAMS.items()
        if not shutil.which(program)
    ]
    status = Path("/proc/self/status").read_text()
    mask = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    found += [f"root lacks the capability {name} here" for name in missing_capabilities(mask)]
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    missing = missing_controllers(
        unified.read_text() if unified.is_file() else None, Path("/proc/self/mounts").read_text()
    )
    found += [f"the cgroup controller {name} is not mounted" for name in missing]
    if not os.access("/sys/fs/cgroup", os.W_OK):
        found.append("/sys/fs/cgroup cannot be written")
    if found:
        return found
    routes = json.loads(subprocess.run(["ip", "-json", "route"], capture_output=True, check=True).stdout or b"[]")
    for network in conflicting_routes(routes, identifier(state)):
        found.append(f"the network {network} overlaps with {_RANGE}, of pods and services: another node runs here?")
    refusal = _trial(state)
    if refusal:
        found.append(f"the kernel refuses namespaces, overlay file systems or veth: {refusal}")
    return found


def check(state: Path) -> None:
    """SandboxError with all problems, or nothing."""
    found = problems(state)
    if found:
        raise SandboxError(
            "a real node cannot run on this machine",
            detail="\n".join(found),
            hint="use a Linux machine or a privileged container, as root; `make up` needs none of this",
        )
