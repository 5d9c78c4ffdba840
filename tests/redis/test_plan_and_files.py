"""Redis with Sentinel: quorums, names, and the files that carry them. Real Valkey and HAProxy judge in other tiers."""

import re

import pytest
from pydantic import ValidationError

from components.redis.files import proxy_conf, sentinel_start, server_conf, server_files
from components.redis.plan import DOWN_AFTER_MS, FAILOVER_TIMEOUT_MS, RedisPlan, make_plan
from components.redis.settings import RedisInstanceSettings
from kube.pod import Spread
from kube.quantity import parse_bytes
from tests.support.variants import plan_of


def _plan(replicas: int = 3, **settings: object) -> RedisPlan:
    given = RedisInstanceSettings.model_validate({"replicas": replicas, **settings})
    return make_plan("synapse", given, plan_of("small").platform, eviction="allkeys-lru")


@pytest.mark.parametrize(("replicas", "quorum"), [(3, 2), (5, 3), (7, 4)])
def test_a_majority_of_sentinels_decides(replicas: int, quorum: int) -> None:
    plan = _plan(replicas)
    assert plan.quorum == quorum and len(plan.sentinels) == len(plan.hosts) == replicas
    assert f"sentinel monitor {plan.master_name} $primary 6379 {quorum}" in sentinel_start(plan)


@pytest.mark.parametrize("replicas", [1, 2, 4, 6, 8])
def test_even_or_too_few_or_too_many_are_refused(replicas: int) -> None:
    with pytest.raises(ValidationError):
        RedisInstanceSettings(replicas=replicas)


def test_no_two_servers_share_a_node() -> None:
    assert _plan().servers.spread is Spread.REQUIRE


def test_data_fills_at_most_half_of_the_memory() -> None:
    plan = _plan(resources={"cpu": "100m", "memory": "1Gi"})
    assert plan.max_memory == parse_bytes("512Mi")
    assert f"maxmemory {plan.max_memory}\n" in server_conf(plan)


def test_a_failover_with_a_split_vote_fits_the_promise_of_ten_seconds() -> None:
    assert DOWN_AFTER_MS + 2 * FAILOVER_TIMEOUT_MS + 2_000 < 10_000


def test_the_proxy_follows_votes_first_and_roles_only_without_votes() -> None:
    text = proxy_conf(_plan())
    rules = re.findall(r"use_backend redis-(\d) if \{ nbsrv\((votes|redis)-\d\)", text)
    assert rules == [(str(i), kind) for kind in ("votes", "redis") for i in range(3)]
    assert text.count("\n    server ") == 3 * 3 + 3, "three Sentinels vote on each of three servers"


def test_nothing_is_written_to_a_disk_and_a_lone_primary_takes_writes() -> None:
    text = server_conf(_plan())
    assert 'save ""' in text and "appendonly no" in text
    assert not re.search(r"^min-replicas-to-write", text, re.M)


def test_passwords_are_included_from_the_secret_and_in_no_file() -> None:
    files = "\n".join([*server_files(_plan()).data.values(), proxy_conf(_plan())])
    assert "include /run/secrets/redis/server.conf" in files
    assert not re.search(r"requirepass \S", files), "the Secret's own files carry the password"
    assert set(_plan().auth.entries) == {"password", "server.conf", "sentinel.conf"}


def test_two_instances_share_nothing() -> None:
    platform = plan_of("small").platform
    one, other = (
        make_plan(p, RedisInstanceSettings(), platform, eviction="noeviction") for p in ("synapse", "livekit")
    )
    assert not set(one.hosts) & set(other.hosts)
    assert one.auth.entries["password"] != other.auth.entries["password"]
    assert one.servers.selector != other.servers.selector
