"""HAProxy's own opinion of every configuration that any of the stacks renders for it."""

from pathlib import Path

import pytest

from components.router.layout import Layout
from components.router.plan import RouterPlan
from components.router.pools import Choice, Pool
from tests.support.variants import plan_of, recording_of
from tests.tools.router.haproxy import check, write_files

pytestmark = pytest.mark.tools


def test_haproxy_accepts_the_routers_files_of_every_stack_without_a_warning(tmp_path: Path, variant: str) -> None:
    layout = Layout(config_dir=str(tmp_path), errors_dir=str(tmp_path))
    assert check(write_files(plan_of(variant).synapse.router, layout)) == ""


def test_haproxy_accepts_redis_proxies_of_every_stack_without_a_warning(
    tmp_path: Path, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "secret")
    recorded = [data for name, data in haproxy_files(variant) if "router" not in name]
    assert recorded, "no proxy in front of Redis"
    for index, text in enumerate(recorded):
        config = tmp_path / f"{index}.cfg"
        config.write_text(text)
        assert check(config) == ""


def haproxy_files(variant: str) -> list[tuple[str, str]]:
    """Every haproxy.cfg in a ConfigMap of the stack, with the ConfigMap's name."""
    maps = [o for o in recording_of(variant).objects if o.kind == "ConfigMap"]
    return [(m.object_name, m.inputs["data"]["haproxy.cfg"]) for m in maps if "haproxy.cfg" in m.inputs["data"]]


def test_every_pool_and_choice_is_in_the_example_plan(open_plan: RouterPlan) -> None:
    """Or the tests above would be about less than they say."""
    assert {pool.pool for pool in open_plan.pools} == set(Pool)
    assert {pool.traits.choice for pool in open_plan.pools} == set(Choice)
