"""Nodes come and go."""

from pathlib import Path

from sandbox import cluster as clusters
from sandbox import toolchain
from sandbox.cluster import Cluster
from sandbox.node import preflight
from sandbox.node.cleanup import remove_cgroups
from sandbox.node.layout import DEFAULT, Node, read_nodes, write_nodes

_SUPERVISOR = "sandbox.node.supervisor"
_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "crds")


def up(state: Path, nodes: tuple[Node, ...] = DEFAULT) -> Cluster:
    """The running cluster with these nodes; started when it does not run, made anew when it has other nodes."""
    preflight.check(state)
    toolchain.ensure([*_PROGRAMS, *toolchain.NODE])
    if read_nodes(state) != nodes:
        down(state)
        state.mkdir(parents=True, mode=0o700)
        write_nodes(state, nodes)
    return clusters.ensure(state, _SUPERVISOR)


def down(state: Path) -> bool:
    """End cluster and node and delete their data. Whether there was anything."""
    ended = clusters.end(state)
    remove_cgroups(state)
    return ended
