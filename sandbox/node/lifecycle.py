"""A node comes and goes."""

from pathlib import Path

from sandbox import cluster as clusters
from sandbox import toolchain
from sandbox.cluster import Cluster
from sandbox.node import preflight
from sandbox.node.cleanup import remove_cgroups

_SUPERVISOR = "sandbox.node.supervisor"
_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "crds")


def up(state: Path) -> Cluster:
    """The running cluster, started when it does not run."""
    preflight.check(state)
    toolchain.ensure([*_PROGRAMS, *toolchain.NODE])
    return clusters.ensure(state, _SUPERVISOR)


def down(state: Path) -> bool:
    """End cluster and node and delete their data. Whether there was anything."""
    ended = clusters.end(state)
    remove_cgroups(state)
    return ended
