"""What is decided about object storage, and what is refused."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from components.minio.files import policy, setup_files, setup_script
from components.minio.plan import USERS, check
from components.minio.settings import MinioSettings
from kube.flows import Addresses, Pods
from kube.pod import Spread
from kube.quantity import GI
from kube.secrets import FromConfig, Random
from tests.minio.examples import EXTERNAL, external, plan, platform, tenant


@pytest.mark.parametrize(("users", "pools"), [(1, 1), (1_000, 1), (1_001, 2), (5_000, 2), (10_000, 2), (20_000, 3)])
def test_the_number_of_pools_follows_the_number_of_people(users: int, pools: int) -> None:
    made = tenant(platform(users=users))
    assert len(made.pools) == pools, f"{users} people need {pools} pools"
    assert [p.replicas for p in made.pools] == [4] * pools, "a pool has four servers at every scale"
    assert all(p.spread is Spread.REQUIRE for p in made.pools), "two servers of a pool on one node fail together"


@pytest.mark.parametrize(
    ("parity", "write", "read", "lost_writing", "lost_reading"),
    # With equal parts of data and parity a write needs one drive more than half, or two halves could disagree.
    [(4, 5, 4, 1, 2), (3, 5, 5, 1, 1), (2, 6, 6, 1, 1)],
)
def test_quorums_follow_from_the_parity(
    parity: int, write: int, read: int, lost_writing: int, lost_reading: int
) -> None:
    made = tenant(parity=parity)
    assert (made.write_quorum, made.read_quorum) == (write, read), "drives of eight that must answer"
    assert (made.servers_lost_writing, made.servers_lost_reading) == (lost_writing, lost_reading), "servers of four"


def test_the_disruption_budget_never_costs_the_write_quorum() -> None:
    for parity in (2, 3, 4):
        assert tenant(parity=parity).servers_lost_writing >= 1, "the budget lets one server of a pool go"


def test_every_server_is_started_with_the_same_list_of_all_pools() -> None:
    made = tenant(pools=2)
    assert made.volumes == (
        "https://minio-pool-0-{0...3}.minio-nodes.matrix.svc.cluster.local:9000/data{0...1}",
        "https://minio-pool-1-{0...3}.minio-nodes.matrix.svc.cluster.local:9000/data{0...1}",
    )


def test_adding_a_pool_appends_to_the_list_and_keeps_the_certificate() -> None:
    one, two = tenant(pools=1), tenant(pools=2)
    assert two.volumes[: len(one.volumes)] == one.volumes, "the order of the pools is the identity of the data"
    assert two.tls == one.tls, "a new certificate would restart the world; the wildcard covers new servers"
    assert two.root == one.root and two.client_config == one.client_config


def test_the_certificate_covers_every_server_and_the_service() -> None:
    names = tenant(pools=3).tls.entries["tls.crt"].dns_names  # type: ignore[union-attr]
    assert "minio.matrix.svc.cluster.local" in names
    assert "*.minio-nodes.matrix.svc.cluster.local" in names, "a wildcard covers one label: the pod's name"


def test_half_of_the_drives_is_usable_with_the_default_parity() -> None:
    assert tenant(pools=1, drive_size="100Gi").usable == 400 * GI, "8 drives × 100Gi, half of it parity"


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("docker.io/pgsty/silo:RELEASE.2026-09-03T13-18-01Z", ("silo",)),
        ("registry.z3r0d3v.com/minio/minio:RELEASE.2025-10-15T00-00-00Z", ("minio",)),
        ("registry.z3r0d3v.com/minio/silo:1", ("silo",)),
    ],
)
def test_the_program_follows_the_image_name(image: str, command: tuple[str, ...]) -> None:
    assert tenant(platform(minio=image)).command == command


def test_the_program_can_be_named() -> None:
    assert tenant(command=["/opt/s3d"]).command == ("/opt/s3d",)


def test_each_consumer_has_a_key_of_its_own() -> None:
    keys = [plan().credentials(user.name).entries["secret_key"] for user in USERS]
    assert len(set(keys)) == len(USERS), "one leaked key must open one bucket only"
    assert all(isinstance(key, Random) and key.length <= 40 for key in keys), "servers take at most 40 characters"


@pytest.mark.parametrize("user", USERS, ids=lambda u: u.name)
def test_a_policy_names_one_bucket_and_no_wildcard(user: Any) -> None:
    statements = json.loads(policy(user, user.bucket))["Statement"]
    resources = {resource for s in statements for resource in s["Resource"]}
    assert resources == {f"arn:aws:s3:::{user.bucket}", f"arn:aws:s3:::{user.bucket}/*"}
    actions = {action for s in statements for action in s["Action"]}
    assert not any("*" in action for action in actions), "every right is named"
    assert ("s3:PutObject" in actions) is user.writes
    assert ("s3:DeleteObject" in actions) is user.writes


def test_lawful_interception_can_only_read_media() -> None:
    (reader,) = [u for u in USERS if u.name == "li-media-reader"]
    assert (reader.bucket, reader.writes) == ("synapse-media", False)


def test_no_key_is_ever_an_argument() -> None:
    made = plan()
    assert made.tenant is not None
    script = setup_script(made, made.tenant)
    adds = [line for line in script.splitlines() if "user add" in line]
    assert adds and all(line.strip().startswith("} |") for line in adds), "keys are piped into the client"
    assert "--json" not in script, "the client prints keys with it"


def test_the_job_runs_again_when_a_key_or_a_policy_changes() -> None:
    made = plan()
    assert made.tenant is not None
    before = setup_files(made, made.tenant)
    rotated = {**made.secrets, "loki": made.secrets["media-backup"]}
    after = setup_files(type(made)(**{**made.__dict__, "secrets": rotated}), made.tenant)
    assert before.name != after.name, "a Job is named by its files: another name is another run"
    assert setup_files(plan(pools=3), tenant(pools=3)).name == before.name, "a new pool needs no new buckets"


def test_servers_talk_to_each_other_and_the_job_to_them() -> None:
    made = plan()
    assert {(f.source.name, f.target.name, f.ports[0].number) for f in made.flows} == {
        ("minio", "minio", 9000),
        ("minio-setup", "minio", 9000),
    }


def test_an_external_store_has_no_servers_and_given_keys() -> None:
    made = external()
    assert made.tenant is None and made.workloads == () and made.flows == () and made.pods is None
    assert made.bucket("synapse-media") == "site-synapse-media"
    entries = made.credentials("loki").entries
    assert entries["access_key"] == "key-loki"
    assert entries["secret_key"] == FromConfig(path="minio.external.users.loki.secret_key")
    assert made.ca is None, "a public authority needs no Secret"


def test_clients_of_an_external_store_may_reach_its_addresses_only() -> None:
    flow = external().client(Pods.of("x", "matrix", {"a": "b"}), "test")
    assert isinstance(flow.target, Addresses) and flow.target.cidrs == ("203.0.113.7/32",)
    assert flow.ports[0].number == 9000


@pytest.mark.parametrize(("endpoint", "port"), [("https://s3.z3r0d3v.com", 443), ("http://lab:80", 80)])
def test_the_port_of_an_external_store_follows_its_url(endpoint: str, port: int) -> None:
    assert external(endpoint=endpoint).port == port


def test_an_external_store_lacking_a_consumer_is_refused() -> None:
    users = {name: user for name, user in EXTERNAL["users"].items() if name != "loki"}  # type: ignore[attr-defined]
    given = {"backend": "external", "external": {**EXTERNAL, "users": users}}
    problems = check(MinioSettings.model_validate(given), plan(**given), disk=None)
    assert [str(p) for p in problems] == [
        "minio.external.users: lacks the bucket and key of loki: every consumer has its own"
    ]


def test_drives_that_do_not_fit_the_nodes_disk_are_refused() -> None:
    settings = MinioSettings(drive_size="600Gi")
    problems = check(settings, plan(drive_size="600Gi"), disk=1024 * GI)
    assert "2 drives of 600Gi on each server do not fit the disk of a storage node (1Ti)" in str(problems[0])
    assert check(settings, plan(drive_size="500Gi"), disk=1024 * GI) == [], "twice 500Gi fit 1Ti"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pools": 0}, "greater than or equal to 1"),
        ({"parity": 5}, "less than or equal to 4"),
        ({"parity": 1}, "greater than or equal to 2"),
        ({"drive_size": "5Gi"}, "at least 10Gi"),
        ({"drive_size": "much"}, "must be a size"),
        ({"backend": "external"}, "`external` (endpoint, users) is missing"),
        ({"external": EXTERNAL}, "backend is internal"),
        ({"backend": "external", "external": {**EXTERNAL, "endpoint": "s3.intern"}}, "URL without path"),
        ({"backend": "external", "external": {**EXTERNAL, "ca": "MIIB"}}, "certificate in PEM"),
        ({"backend": "s3"}, "'internal' or 'external'"),
        ({"drives": 4}, "Extra inputs"),
    ],
)
def test_bad_settings_are_refused_with_a_reason(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        MinioSettings.model_validate(given)
    assert words in str(error.value)


def test_a_secret_key_in_clear_is_refused() -> None:
    users = {"loki": {"bucket": "loki", "access_key": "k", "secret_key": "in the open"}}
    with pytest.raises(ValidationError) as error:
        MinioSettings.model_validate({"backend": "external", "external": {**EXTERNAL, "users": users}})
    assert "must not stand here in clear" in str(error.value)
