"""HAProxy's own opinion of the rendered files."""

from pathlib import Path

import pytest

from components.router.layout import Layout
from components.router.plan import RouterPlan
from components.router.pools import Choice, Pool
from tests.router.examples import plan
from tests.tools.router.haproxy import check, write_files

pytestmark = pytest.mark.tools


@pytest.mark.parametrize("size", ["small", "medium", "large"])
@pytest.mark.parametrize("federation", [False, True])
def test_haproxy_accepts_every_rendered_configuration_without_a_warning(
    tmp_path: Path, size: str, federation: bool
) -> None:
    layout = Layout(config_dir=str(tmp_path), errors_dir=str(tmp_path))
    assert check(write_files(plan(size, federation=federation), layout)) == ""


def test_every_pool_and_choice_is_in_the_example_plan(open_plan: RouterPlan) -> None:
    """Or the tests above would be about less than they say."""
    assert {pool.pool for pool in open_plan.pools} == set(Pool)
    assert {pool.traits.choice for pool in open_plan.pools} == set(Choice)
