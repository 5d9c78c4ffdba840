"""What the kernel does not take away with a node's namespaces, and how to see that nothing is left."""

import json
import os
import subprocess
import time
from pathlib import Path

from sandbox.node.layout import identifier
from sandbox.node.machine import cgroup_directories

_SECONDS = 10.0  # the kernel frees a cgroup a moment after its last process is gone


def connected(state: Path) -> bool:
    """Whether the cable is there, up, with its routes (which are laid last)."""
    answer = subprocess.run(
        ["ip", "-json", "route", "show", "dev", identifier(state)], capture_output=True, text=True, check=False
    )
    return answer.returncode == 0 and len(json.loads(answer.stdout or "[]")) > 1


def remove_cgroups(state: Path) -> None:
    """Remove the node's cgroups, deepest first. OSError when a process is still in one after a while."""
    deadline = time.monotonic() + _SECONDS
    for top in cgroup_directories(identifier(state)):
        for directory, _, _ in os.walk(top, topdown=False):
            while True:
                try:
                    Path(directory).rmdir()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
