"""Numbers and names of the router's plan, and which edits change its files."""

import pytest
from pydantic import ValidationError

from components.router.files import config_files, errors
from components.router.plan import make_plan, slots
from components.router.pools import Pool
from components.router.settings import RouterSettings
from tests.router.examples import MAX_UPLOAD_BYTES, plan, platform, sources


@pytest.mark.parametrize(
    ("maximum", "expected"), [(1, 2), (2, 4), (3, 4), (4, 8), (15, 16), (16, 32), (20, 32), (31, 32)]
)
def test_slots_are_the_power_of_two_above_the_maximum(maximum: int, expected: int) -> None:
    assert slots(maximum) == expected
    assert slots(maximum) > maximum, "one to spare"


def test_scaling_synchrotrons_from_16_to_20_changes_no_file() -> None:
    before, after = plan("large", synchrotron=16), plan("large", synchrotron=20)
    assert config_files(before).data == config_files(after).data
    assert config_files(before).name == config_files(after).name


def test_what_clients_must_notice_changes_the_files_name() -> None:
    assert config_files(plan("small")).name != config_files(plan("small", federation=True)).name
    assert config_files(plan("small")).name != config_files(plan("small", synchrotron=40)).name
    assert errors(plan("small")).name == errors(plan("large")).name


def test_all_sizes_have_the_same_pools_listeners_and_maps() -> None:
    texts = [config_files(plan(size)).data for size in ("small", "medium", "large")]
    assert all(set(text) == set(texts[0]) for text in texts)
    for name in set(texts[0]) - {"haproxy.cfg"}:
        assert texts[0][name] == texts[1][name] == texts[2][name], name


def test_rendering_is_deterministic_whatever_the_order_of_the_pools() -> None:
    given = sources()
    known = plan("small").well_known
    one = make_plan(RouterSettings(), platform(), given, max_upload_bytes=MAX_UPLOAD_BYTES, well_known=known)
    turned = dict(reversed(given.items()))
    other = make_plan(RouterSettings(), platform(), turned, max_upload_bytes=MAX_UPLOAD_BYTES, well_known=known)
    assert config_files(one).data == config_files(other).data


def test_each_process_is_checked_once_however_many_pools_it_serves() -> None:
    config = config_files(plan("small")).data["haproxy.cfg"]
    servers = [line for line in config.splitlines() if line.strip().startswith("server ")]
    checked = [line.split()[1] for line in servers if " check " in line]
    assert len(checked) == len(set(checked))
    assert set(checked) == {line.split()[1] for line in servers}


def test_ring_numbers_are_fixed_and_unique_in_a_pool() -> None:
    for pool in plan("large").pools:
        assert [server.id for server in pool.servers] == list(range(1, len(pool.servers) + 1)), pool.pool


def test_a_plan_without_main_or_with_a_pool_for_absent_federation_is_refused() -> None:
    known = plan("small").well_known
    without_main = {pool: source for pool, source in sources().items() if pool is not Pool.MAIN}
    with pytest.raises(ValueError, match="main"):
        make_plan(RouterSettings(), platform(), without_main, max_upload_bytes=1, well_known=known)
    with pytest.raises(ValueError, match="federation"):
        make_plan(RouterSettings(), platform(), sources(federation=True), max_upload_bytes=1, well_known=known)


def test_memory_grows_with_users_and_one_replica_could_carry_all() -> None:
    small, large = plan("small"), plan("large")
    assert large.max_connections >= 2 * 20_000
    assert large.workload.resources.memory > small.workload.resources.memory


def test_flows_name_each_kind_of_process_once() -> None:
    flows = plan("small", federation=True).flows
    names = [flow.target.name for flow in flows]
    assert len(names) == len(set(names))
    assert "synapse-main" in names and "synapse-generic" in names


@pytest.mark.parametrize("network", ["10.0.0.1/8", "nonsense", "10.0.0.0/40"])
def test_a_wrong_address_range_is_refused(network: str) -> None:
    with pytest.raises(ValidationError):
        RouterSettings.model_validate({"trusted_proxies": [network]})
