"""One process of each stand-in provider for all tests of a module; what it writes is looked at in the end."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.plugins import Plugin


def _running(package: str, directory: Path) -> Iterator[Plugin]:
    plugin = Plugin(package, directory / f"{package}.log")
    yield plugin
    code, written = plugin.stop(signal.SIGINT)
    assert code == 0, "the engine ends a provider by SIGINT and reports any other end as a crash"
    assert written == "", f"a provider that handles secrets writes nothing but its port, it wrote: {written}"


@pytest.fixture(scope="module")
def random(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugin]:
    yield from _running("random", tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugin]:
    yield from _running("tls", tmp_path_factory.mktemp("plugin"))
