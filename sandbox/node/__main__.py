"""`python -m sandbox.node <command>`: a cluster with a real node, by hand. It is another sandbox than `make up`'s."""

import argparse
import sys
from pathlib import Path

from sandbox import cluster as clusters
from sandbox import paths, toolchain
from sandbox.cluster import Cluster
from sandbox.errors import SandboxError
from sandbox.node import preflight
from sandbox.node.cleanup import remove_cgroups

SUPERVISOR = "sandbox.node.supervisor"
_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "crds")


def state() -> Path:
    return paths.state("-node")


def up(where: Path) -> Cluster:
    """The running cluster, started when it does not run."""
    preflight.check(where)
    toolchain.ensure([*_PROGRAMS, *toolchain.NODE])
    return clusters.ensure(where, SUPERVISOR)


def down(where: Path) -> bool:
    """End cluster and node and delete their data. Whether there was anything."""
    ended = clusters.end(where)
    remove_cgroups(where)
    return ended


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.node", description=__doc__)
    parser.add_argument("command", choices=("up", "down"))
    arguments = parser.parse_args()
    try:
        if arguments.command == "down":
            print("the node is gone, its data are deleted" if down(state()) else "no node was there")
        else:
            print(up(state()).kubeconfig)
    except SandboxError as error:
        print(error.text(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
