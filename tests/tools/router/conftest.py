"""Routers under test. Processes and the two long-lived routers are shared by all modules: leave them as found."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.router.plan import RouterPlan
from tests.router.examples import plan
from tests.tools.router.haproxy import HAProxy
from tests.tools.router.stubs import Stubs
from tests.tools.router.world import World, settings, settle


@pytest.fixture(scope="session")
def stubs() -> Iterator[Stubs]:
    with Stubs() as running:
        yield running


@pytest.fixture(scope="session")
def open_plan() -> RouterPlan:
    return plan("small", federation=True, settings=settings())


@pytest.fixture(scope="session")
def world(stubs: Stubs, open_plan: RouterPlan) -> World:
    return World(stubs, open_plan)


@pytest.fixture(scope="session")
def router(world: World, open_plan: RouterPlan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HAProxy]:
    """Federation on."""
    with HAProxy(open_plan, tmp_path_factory.mktemp("router"), world.address) as running:
        settle(running)
        yield running


@pytest.fixture(scope="session")
def closed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HAProxy]:
    """Federation off."""
    with HAProxy(plan("small", settings=settings()), tmp_path_factory.mktemp("closed"), world.address) as running:
        settle(running)
        yield running


@pytest.fixture
def another(world: World, tmp_path: Path) -> Iterator[Callable[..., HAProxy]]:
    """More routers for one test."""
    running: list[HAProxy] = []

    def start(router: RouterPlan, name: str = "another", **options: object) -> HAProxy:
        proxy = HAProxy(router, tmp_path / name, world.address, **options)  # type: ignore[arg-type]
        running.append(proxy)
        proxy.__enter__()
        settle(proxy)
        return proxy

    yield start
    for proxy in running:
        proxy.__exit__(None, None, None)
