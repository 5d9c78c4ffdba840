"""One sandbox for all engine tests, apart from the one that a person uses in the same checkout."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import cluster, paths
from sandbox.session import Session

_HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def sandbox(capfd_disabled_progress: None) -> Iterator[Session]:
    """A running control plane without any object of a stack. It ends with the tests, unless SANDBOX_KEEP is set."""
    os.environ.setdefault("SANDBOX_STATE", str(paths.state("-tests")))
    cluster.end(paths.state())
    session = Session.open()
    yield session
    if not os.environ.get("SANDBOX_KEEP"):
        cluster.end(session.state)


@pytest.fixture(scope="session")
def capfd_disabled_progress(request: pytest.FixtureRequest) -> Iterator[None]:
    """Show the progress of builds: minutes of silence look like a hang."""
    manager = request.config.pluginmanager.getplugin("capturemanager")
    assert manager is not None
    with manager.global_and_fixture_disabled():
        yield
