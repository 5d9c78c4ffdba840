"""One real node for all tests of the cluster tier, apart from the one that a person uses. They need root on Linux."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import paths
from sandbox.cluster import Cluster
from sandbox.node import lifecycle

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


@pytest.fixture
def node(state: Path) -> Cluster:
    """A running node. Refusals and failures of it are errors in words, never skips."""
    return lifecycle.up(state)
