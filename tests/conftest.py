"""Options and fixtures of all tests. What a tier is: tests/README.md."""

import gc

import pytest

from stack.plan import StackPlan
from stack.resources import Recording
from tests.support.variants import STACKS, VARIANTS, plan_of, recording_of


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew; then read the diff")


def pytest_configure() -> None:
    # Recordings stay for the whole run; looking through all of them at every turn of the collector costs 40 per cent.
    gc.set_threshold(200_000, 50, 50)


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session", params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """Each committed stack, and each toggle."""
    return str(request.param)


@pytest.fixture(scope="session")
def recording(variant: str) -> Recording:
    """Everything that the variant declares. Shared by all tests: read only."""
    return recording_of(variant)


@pytest.fixture(scope="session")
def plan(variant: str) -> StackPlan:
    return plan_of(variant)


@pytest.fixture(scope="session", params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    """Each committed stack."""
    return str(request.param)
