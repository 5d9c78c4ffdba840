"""What is decided about PostgreSQL, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.postgres.plan import BANDS, check, needs
from components.postgres.settings import SYNAPSE_SESSION, PostgresSettings
from kube.flows import Addresses, AnyPodIn, Pods
from kube.pod import Spread
from kube.quantity import GI
from tests.postgres.examples import ORIGIN, TRANSACTION, plan, platform


@pytest.mark.parametrize(
    ("users", "instances", "standbys"), [(1_000, 3, 1), (5_000, 3, 1), (10_000, 3, 1), (20_000, 5, 2)]
)
def test_instances_follow_the_number_of_people_and_half_of_the_copies_confirm(
    users: int, instances: int, standbys: int
) -> None:
    made = plan(platform(users=users))
    assert (made.instances, made.synchronous_standbys) == (instances, standbys)


@pytest.mark.parametrize("instances", [3, 5, 7, 9])
def test_a_failover_needs_no_more_copies_than_a_quorum_of_instances_leaves(instances: int) -> None:
    made = plan(instances=instances)
    copies, confirmed = made.instances - 1, made.synchronous_standbys
    lost_with_primary = instances // 2 - 1  # besides the primary
    assert (copies - lost_with_primary) + confirmed > copies, "CloudNativePG promotes only if R + W > N"
    assert copies - confirmed >= instances // 2, "writes go on while a minority is lost"


def test_instances_never_share_a_node() -> None:
    (instances,) = plan().workloads
    assert instances.spread is Spread.REQUIRE and instances.pool == "database"
    assert len(instances.sidecars) == 1, "the plugin beside each instance counts for capacity"


def test_without_backups_nothing_runs_beside_an_instance() -> None:
    made = plan(backups={"enabled": False})
    (instances,) = made.workloads
    assert instances.sidecars == ()
    assert not any("WAL archive" in f.why for f in made.flows)


def test_the_plugin_is_needed_for_backups_and_for_restores_only() -> None:
    assert needs(PostgresSettings()) == {"cloudnative_pg", "barman_cloud_plugin", "cert_manager"}
    off = {"enabled": False}
    assert needs(PostgresSettings.model_validate({"backups": off})) == {"cloudnative_pg"}
    assert "barman_cloud_plugin" in needs(PostgresSettings.model_validate({"backups": off, "restore": ORIGIN}))


def test_clients_connect_to_the_primary_by_its_full_name() -> None:
    made = plan()
    assert made.host == made.primary == "postgres-main-rw.matrix.svc.cluster.local"
    assert made.ca_secret == "postgres-main-ca"
    assert made.credentials.type == "kubernetes.io/basic-auth"
    assert made.credentials.labels["cnpg.io/reload"] == "true", "or a new password is set in the Secret only"


def test_a_restored_cluster_has_a_name_of_its_own_and_keeps_its_password() -> None:
    before, after = plan(), plan(restore=ORIGIN)
    assert after.name != before.name and after.name.startswith("postgres-main-")
    assert after.host.startswith(f"{after.name}-rw."), "the old cluster must not answer for the new one"
    assert after.credentials == before.credentials
    other = plan(restore={**ORIGIN, "target_time": "2026-11-21T09:31:00+00:00"})
    assert other.name != after.name, "another moment is another cluster"


def test_the_database_is_protected_until_its_replacement_is_confirmed() -> None:
    assert (plan().protect, plan().retain) == (True, True)
    confirmed = plan(platform(confirmed=frozenset({"database_name"})))
    assert (confirmed.protect, confirmed.retain) == (False, True), "it may be replaced, and the old one stays"
    assert (plan(platform(protect=False)).protect, plan(platform(protect=False)).retain) == (False, False)


def test_the_flows_are_replication_operator_api_server_and_store() -> None:
    flows = plan().flows
    assert [f.why.split(",")[0] for f in flows if f.source == f.target] == ["replication"]
    operator = next(f for f in flows if isinstance(f.source, AnyPodIn))
    assert operator.source.namespace == "cnpg-system" and {p.number for p in operator.ports} == {5432, 8000}
    api = next(f for f in flows if isinstance(f.target, Addresses))
    assert {p.number for p in api.ports} == {443, 6443}, "the instance manager cannot live without the API server"
    assert any(isinstance(f.target, Pods) and f.target.name == "minio" for f in flows)


def test_backups_to_an_external_store_reach_its_addresses() -> None:
    targets = [f.target for f in plan(external=True).flows if f.target.name == "external object storage"]
    assert targets == [Addresses(name="external object storage", cidrs=("203.0.113.7/32",))]


def problems(*, disk: int | None = None, **given: Any) -> list[str]:
    return [str(p) for p in check(plan(**given), disk=disk)]


@pytest.mark.parametrize("users", [b.users for b in BANDS])
def test_defaults_of_every_band_are_sane(users: int) -> None:
    assert problems(frame=platform(users=users), connections=200) == []


def test_more_connections_than_accepted_are_refused_with_the_arithmetic() -> None:
    (text,) = problems(connections=360)
    assert text.startswith("postgres.max_connections: connection sum too large: 360 connections of all processes")
    assert "+ 50 reserved = 410 > 400" in text and "lower cp_max" in text


def test_exactly_as_many_connections_as_accepted_are_fine() -> None:
    assert problems(connections=350) == []


def test_more_connections_than_the_memory_carries_are_refused_with_the_arithmetic() -> None:
    (text,) = problems(max_connections=500)
    assert "connection sum too large for the memory: 500 connections × 10Mi = 4.9Gi" in text
    assert "half of the 8Gi of one instance carries 409" in text


def test_scaling_workers_within_the_band_changes_no_parameter() -> None:
    assert plan(connections=200).parameters == plan(connections=300).parameters, "a change would restart the database"


def test_volumes_that_do_not_fit_the_nodes_disk_are_refused() -> None:
    (text,) = problems(disk=500 * GI, storage="480Gi")
    assert text == (
        "postgres.storage: 480Gi data + 30Gi WAL of one instance do not fit the disk of a database node (500Gi)"
    )
    assert problems(disk=500 * GI, storage="470Gi") == []


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("registry.z3r0d3v.com/postgresql:16.10-standard-trixie", "PostgreSQL 17 or newer"),
        ("registry.z3r0d3v.com:5000/postgresql:stable", "begin with PostgreSQL's version"),
        ("registry.z3r0d3v.com:5000/postgresql", "begin with PostgreSQL's version"),
    ],
)
def test_an_image_that_cannot_keep_the_promises_is_refused(image: str, words: str) -> None:
    (text,) = problems(frame=platform(postgres=image))
    assert words in text and image in text


def test_a_digest_in_the_image_does_not_hide_its_version() -> None:
    image = f"registry.z3r0d3v.com:5000/postgresql:17.7-standard-trixie@sha256:{'0' * 64}"
    assert problems(frame=platform(postgres=image)) == []


def test_a_pooler_is_where_clients_connect() -> None:
    made = plan(pooler={"enabled": True})
    assert made.host == "postgres-main-pooler.matrix.svc.cluster.local"
    assert made.primary == "postgres-main-rw.matrix.svc.cluster.local"
    flow = made.client(Pods.of("x", "matrix", {"a": "b"}), "test")
    assert isinstance(flow.target, Pods) and dict(flow.target.labels) == {"cnpg.io/poolerName": "postgres-main-pooler"}


def test_poolers_in_session_mode_must_carry_every_client_with_one_of_them_lost() -> None:
    pooler = {"enabled": True, "server_connections": 100}
    (text,) = problems(connections=150, pooler=pooler)
    assert "150 connections of all processes" in text and "> 100 that 1 of 2 poolers hold" in text


def test_poolers_together_hold_no_more_than_the_server_accepts() -> None:
    (text,) = problems(pooler={"enabled": True, "server_connections": 200})
    assert "400 connections of 2 poolers with 200 each + 50 reserved = 450 > 400" in text


def test_transaction_mode_sets_the_role_first() -> None:
    made = plan(pooler={**TRANSACTION, "server_connections": 100}, connections=350)
    assert made.role_job is not None and made.role_job in made.workloads
    assert problems(pooler={**TRANSACTION, "server_connections": 100}, connections=350) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"instances": 4}, "must be odd"),
        ({"instances": 2}, "greater than or equal to 3"),
        ({"instances": 1}, "greater than or equal to 3"),
        ({"storage": "1Gi"}, "at least 2Gi"),
        ({"wal_storage": "large"}, "must be a size"),
        ({"resources": {"cpu": "1", "memory": "256Mi"}}, "at least 512Mi"),
        ({"max_connections": 10}, "greater than or equal to 50"),
        ({"parameters": {"max_connections": "9"}}, "max_connections: decided by the platform"),
        ({"parameters": {"synchronous_standby_names": ""}}, "decided by the platform or by CloudNativePG"),
        ({"parameters": {"work mem": "1"}}, "no name of a PostgreSQL parameter"),
        ({"backups": {"schedule": "30 2 * * *"}}, "six fields, seconds first"),
        ({"backups": {"schedule": "daily"}}, "cron expression of six fields"),
        ({"backups": {"retention": "thirty"}}, "String should match pattern"),
        ({"restore": {"backup_server_name": "a", "target_time": "yesterday"}}, "must be a moment such as"),
        ({"restore": {"backup_server_name": "a", "target_time": "2026-11-21T09:30:00"}}, "must name its zone"),
        ({"restore": {"backup_server_name": "../x"}}, "String should match pattern"),
        ({"pooler": {"enabled": True, "mode": "transaction"}}, "Missing: bytea_output, idle_in_transaction"),
        ({"pooler": {"enabled": True, "mode": "statement"}}, "'session' or 'transaction'"),
        ({"pooler": {"enabled": True, "instances": 1}}, "greater than or equal to 2"),
        ({"replicas": 3}, "Extra inputs"),
    ],
)
def test_bad_settings_are_refused_with_a_reason(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        PostgresSettings.model_validate(given)
    assert words in str(error.value)


def test_transaction_mode_with_another_format_of_bytes_is_refused() -> None:
    pooler = {**TRANSACTION, "role_settings": {**SYNAPSE_SESSION, "bytea_output": "hex"}}
    with pytest.raises(ValidationError, match="bytea_output must be escape"):
        PostgresSettings.model_validate({"pooler": pooler})


@given(users=st.integers(1, 20_000), more=st.integers(0, 20_000))
def test_more_people_never_get_a_smaller_database(users: int, more: int) -> None:
    few, many = plan(platform(users=users)), plan(platform(users=min(users + more, 20_000)))
    for name in ("instances", "storage", "wal", "max_connections"):
        assert getattr(few, name) <= getattr(many, name), f"{name} shrinks with more people"
    assert few.resources.memory <= many.resources.memory and few.resources.cpu <= many.resources.cpu
