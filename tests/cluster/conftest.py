"""One real node for all tests of the cluster tier, apart from the one that a person uses. They need root on Linux."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import paths
from sandbox.cluster import Cluster
from sandbox.node import lifecycle
from sandbox.node.layout import Node

_HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def state() -> Iterator[Path]:
    where = paths.state("-cluster-tests")
    lifecycle.down(where)
    yield where
    lifecycle.down(where)


@pytest.fixture(scope="module")  # a test file that ends its nodes does not end another file's
def application_nodes(state: Path) -> Cluster:
    """Three running nodes of the pool that Redis is for. What refuses or fails is an error in words, never a skip."""
    labels = {"synapse-platform/pool": "application"}
    return lifecycle.up(state, tuple(Node(name=f"application-{i + 1}", index=i, labels=labels) for i in range(3)))
