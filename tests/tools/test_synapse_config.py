"""What real Synapse makes of every process' files, at every scale, with federation off and on."""

import base64
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from components.synapse.extra import GENERATED, known_keys
from components.synapse.instances import stream_writers
from components.synapse.plan import SynapsePlan
from components.synapse.process_types import ProcessType
from sandbox.packages import python_environment
from sandbox.paths import CHECKOUT
from tests.synapse.builders import LARGE, MEDIUM, SMALL, plan
from tests.tools.synapse_files import DUMMY, change, in_root, lay_out, load, load_plan

pytestmark = pytest.mark.tools

SCALES = [(users, federation) for users in (SMALL, MEDIUM, LARGE) for federation in (False, True)]
Views = dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=SCALES, ids=lambda p: f"{p[0]}{'-federation' if p[1] else ''}")
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[SynapsePlan, Views]:
    users, federation = request.param
    made = plan(users, federation=federation)
    return made, load_plan(made, tmp_path_factory.mktemp("synapse"))


def test_synapse_accepts_the_files_of_every_process(loaded: tuple[SynapsePlan, Views]) -> None:
    made, views = loaded
    assert {name.rsplit("-", 1)[0] for name in views} == {p.name for p in made.processes}
    refused = {name: view["error"] for name, view in views.items() if "error" in view}
    assert not refused, f"Synapse refuses: {refused}"


def test_a_worker_is_called_what_its_pod_is_called_and_main_is_master(loaded: tuple[SynapsePlan, Views]) -> None:
    for name, view in loaded[1].items():
        expected = "master" if name == "synapse-main-0" else name
        assert view["instance_name"] == expected, "replication finds processes by this name"


def test_all_processes_have_the_same_writers_and_the_same_map(loaded: tuple[SynapsePlan, Views]) -> None:
    made, views = loaded
    expected = {"thread_subscriptions": ["master"], **stream_writers(made.processes)}
    for name, view in views.items():
        assert view["writers"] == expected, f"{name} would send a stream's writes elsewhere"
    maps = [{k: v for k, v in view["instance_map"].items() if k not in ("main", "master")} for view in views.values()]
    assert all(m == maps[0] for m in maps), "two processes would look for the same writer at different places"


def test_every_writer_listens_where_the_map_says(loaded: tuple[SynapsePlan, Views]) -> None:
    made, views = loaded
    writers = {w for names in views["synapse-main-0"]["writers"].values() for w in names} - {"master"}
    for name in writers:
        host, port = views["synapse-generic-0"]["instance_map"][name]
        statefulset = name.rsplit("-", 1)[0]
        assert host == f"{name}.{statefulset}.matrix.svc.cluster.local", "the pod's own name in the cluster's DNS"
        assert port == 9093
        if name in views:
            assert views[name]["listeners"]["9093"] == ["replication"], f"{name} would refuse what it must write"
    assert views["synapse-generic-0"]["instance_map"]["master"] == [
        "synapse-main-0.synapse-main.matrix.svc.cluster.local",
        9093,
    ], "workers reach main by its pod's name"
    assert views["synapse-main-0"]["listeners"]["9093"] == ["replication"]
    assert made.processes[ProcessType.EVENT_PERSISTER].replicas == len(views["synapse-main-0"]["writers"]["events"]), (
        "each persister gets its share of the rooms"
    )


@pytest.mark.parametrize(
    ("duty", "process_type"),
    [
        ("run_background_tasks", ProcessType.BACKGROUND),
        ("should_notify_appservices", ProcessType.APPSERVICE),
        ("should_update_user_directory", ProcessType.USER_DIRECTORY),
    ],
)
def test_a_duty_of_one_is_done_by_exactly_that_one(
    loaded: tuple[SynapsePlan, Views], duty: str, process_type: ProcessType
) -> None:
    doing = [name for name, view in loaded[1].items() if view[duty]]
    assert doing == [f"synapse-{process_type.value}-0"], f"{duty} must be done once, and not by main"


def test_pushers_push_and_nobody_else(loaded: tuple[SynapsePlan, Views]) -> None:
    made, views = loaded
    names = list(made.processes[ProcessType.PUSHER].pod_names)
    pushing = {name for name, view in views.items() if view["start_pushers"]}
    assert pushing == {names[0], names[-1]}, "these are the ones that were loaded"
    for name in (*pushing, "synapse-main-0"):
        assert views[name]["pushers"] == names, "all of them must divide the users in the same way"


def test_senders_send_with_federation_on_and_nobody_does_with_it_off(loaded: tuple[SynapsePlan, Views]) -> None:
    made, views = loaded
    sending = {name for name, view in views.items() if view["send_federation"]}
    if not made.platform.federation:
        assert sending == set(), "main is the sender unless it is told otherwise"
        return
    names = list(made.processes[ProcessType.FEDERATION_SENDER].pod_names)
    assert sending == {names[0], names[-1]}
    for name in (*sending, "synapse-main-0"):
        assert views[name]["senders"] == names, "all of them must divide the destinations in the same way"


def test_only_media_processes_have_a_media_repository(loaded: tuple[SynapsePlan, Views]) -> None:
    made, views = loaded
    media = {name: view["media"] for name, view in views.items() if view["media"]}
    assert set(media) == {"synapse-media-repository-0"}
    one = media["synapse-media-repository-0"]
    assert one["background_jobs"] == "synapse-media-repository-0", "one must clean up, and only one"
    assert one["max_upload_size"] == made.max_upload_bytes == 100 * 2**20
    assert one["local"] is True, "the S3 provider uploads from the local store"
    (module, config, wrapper), *more = one["providers"]
    assert not more
    assert module == "s3_storage_provider.S3StorageProviderBackend"
    assert wrapper == {"store_local": True, "store_remote": True, "store_synchronous": True}, "S3 before the answer"
    assert config["bucket"] == "synapse-media"
    assert not {"access_key_id", "secret_access_key"} & set(config), "credentials come by environment"
    assert one["local_lifetime_ms"] is None, "users' own files stay"


def test_listeners_carry_what_the_router_sends(loaded: tuple[SynapsePlan, Views]) -> None:
    made, views = loaded
    federation = made.platform.federation
    for name, view in views.items():
        assert view["listeners"]["8080"] == ["health"], f"{name} must tell its health apart from its load"
        assert view["listeners"]["9090"] == ["metrics"]
        assert view["x_forwarded"] in ([], [True]), f"{name} must see clients' addresses, not the router's"
    main = views["synapse-main-0"]["listeners"]["8008"]
    assert main == (["client", "federation"] if federation else ["client", "openid"])
    served = {name for view in views.values() for names in view["listeners"].values() for name in names}
    assert ("federation" in served) == federation, "no process may answer other servers with federation off"
    for pool in made.router.pools:
        first = pool.servers[0].name
        needed = pool.traits.resource.value
        assert needed in views[first]["listeners"]["8008"] or pool.pool.value == "main", (
            f"the router's pool {pool.pool} would get 404 from {first}"
        )


def test_what_is_deleted_stays_for_an_investigation(loaded: tuple[SynapsePlan, Views]) -> None:
    for name, view in loaded[1].items():
        assert view["redaction_retention"] is None, f"{name} would erase deleted messages"
        assert view["forgotten_room_retention"] is None, f"{name} would erase rooms that everybody has left"


def test_closed_by_default(loaded: tuple[SynapsePlan, Views]) -> None:
    made, views = loaded
    for view in views.values():
        assert view["registration"] is False
        assert view["report_stats"] is False
        assert view["key_servers"] == [], "nobody else vouches for keys unless it is said who"
        assert view["url_previews"] is False
        assert view["federation_allowed"] == (None if made.platform.federation else [])
        assert view["push_content"] is False


def test_secrets_come_from_files_and_the_password_from_the_environment(loaded: tuple[SynapsePlan, Views]) -> None:
    for view in loaded[1].values():
        assert view["replication_secret"] == view["registration_secret"] == view["macaroon"] == DUMMY
        assert view["redis"][2] == DUMMY
        assert view["signing_key"] == "ed25519:a_platform"
        assert "password" not in view["database"]
        assert view["database"]["sslmode"] == "verify-full"


def test_connections_are_what_the_plan_adds_up(loaded: tuple[SynapsePlan, Views]) -> None:
    made, views = loaded
    for process in made.processes:
        args = views[f"{process.name}-0"]["database"]
        assert args["cp_max"] == process.cp_max
        assert args["cp_min"] <= args["cp_max"]
        assert len(args["application_name"]) <= 63, "PostgreSQL cuts longer ones, and the wait reads the end of it"


def test_caches_stay_inside_the_memory_limit(loaded: tuple[SynapsePlan, Views]) -> None:
    made, views = loaded
    for process in made.processes:
        factor, tuning = views[f"{process.name}-0"]["caches"]
        limit = process.resources.memory_limit
        assert tuning["target_cache_memory_usage"] < tuning["max_cache_memory_usage"] < 0.7 * limit
        assert 0.5 <= factor <= 10


def test_presence_is_on_where_it_can_be_afforded(loaded: tuple[SynapsePlan, Views]) -> None:
    made, views = loaded
    expected = made.platform.concurrent_users <= MEDIUM
    assert {view["presence"] for view in views.values()} == {expected}


def test_operators_settings_reach_synapse(tmp_path: Path) -> None:
    made = plan(
        SMALL,
        federation=True,
        federation_allow=("other.example.org",),
        max_upload_size="1G",
        presence="off",
        push_include_content=True,
        trusted_key_servers=["keys.example.org"],
        rate_limits={"message": {"per_second": 7, "burst_count": 70}},
        media={"remote_media_lifetime": "30d", "local_media_lifetime": "5y"},
        extra={"default_room_version": "10", "auto_join_rooms": ["#all:chat.example.org"]},
        workers={"event_persister": {"replicas": 3}, "generic": {"cp_max": 12}},
    )
    views = load_plan(made, tmp_path)
    media = views["synapse-media-repository-0"]["media"]
    assert media["max_upload_size"] == 2**30
    assert media["remote_lifetime_ms"] == 30 * 86_400_000
    assert media["local_lifetime_ms"] == 5 * 365 * 86_400_000
    main = views["synapse-main-0"]
    assert main["federation_allowed"] == ["other.example.org"]
    assert main["key_servers"] == ["keys.example.org"]
    assert main["rc_message"] == [7, 70]
    assert main["presence"] is False
    assert main["push_content"] is True
    assert len(main["writers"]["events"]) == 3
    assert views["synapse-generic-0"]["database"]["cp_max"] == 12


def test_previews_of_links_reach_nothing_inside(tmp_path: Path) -> None:
    made = plan(SMALL, url_previews={"enabled": True, "ip_range_blacklist": ["198.18.7.0/24", "8.8.8.0/24"]})
    views = load_plan(made, tmp_path)
    assert all(view["url_previews"] for view in views.values()), "clients ask any process for its capabilities"
    blocked = [ip_network(text) for text in views["synapse-media-repository-0"]["blocked"]]
    inside = ["10.1.2.3", "127.0.0.1", "169.254.169.254", "172.20.0.1", "192.168.1.1", "0.0.0.0", "::1", "fd00::1"]
    for address in (*inside, "8.8.8.8"):
        version = ip_address(address).version
        assert any(ip_address(address) in network for network in blocked if network.version == version), address
    assert not any(ip_address("93.184.216.34") in network for network in blocked if network.version == 4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"stream_writers": {"typing": ["synapse-typing-0", "synapse-presence-0"]}},
            "only specify one instance to handle `typing`",
        ),
        (
            {"stream_writers": {"presence": ["synapse-typing-0", "synapse-presence-0"]}},
            "only specify one instance to handle `presence`",
        ),
        ({"stream_writers": {"events": []}}, "at least one instance to handle `events`"),
        ({"stream_writers": {"receipts": ["synapse-receipts-7"]}}, "does not appear in `instance_map`"),
        ({"instance_map": None}, "main"),
    ],
)
def test_synapse_refuses_what_our_checks_refuse(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """Each rule of ours about counts is Synapse's own: this fails when Synapse drops or changes one."""
    made = plan(SMALL)
    request = lay_out(made, made.processes[ProcessType.GENERIC], 0, tmp_path)
    change(request, "instances.yaml", **changes)
    answer = load([request], tmp_path)["synapse-generic-0"]
    assert words in answer.get("error", ""), answer


def test_the_list_of_known_keys_is_what_this_synapse_reads() -> None:
    script = Path(__file__).with_name("synapse_keys.py")
    python = python_environment("requirements-synapse.lock")
    found = subprocess.run([str(python), str(script)], capture_output=True, text=True, check=True).stdout
    listed = (CHECKOUT / "components/synapse/homeserver_keys.txt").read_text()
    assert found == listed, f"run: {python} {script.relative_to(CHECKOUT)} > components/synapse/homeserver_keys.txt"


def test_every_key_that_we_write_is_one_that_synapse_reads() -> None:
    unknown = GENERATED - known_keys()
    assert not unknown, f"Synapse would silently ignore {sorted(unknown)}"


def test_a_signing_key_made_by_our_rule_is_one_that_synapse_reads(tmp_path: Path) -> None:
    made = plan(SMALL)
    request = lay_out(made, made.processes[ProcessType.MAIN], 0, tmp_path)
    seed = base64.b64encode(bytes(range(32))).decode()
    text = f"ed25519 {made.signing_key_version} {seed.rstrip('=')}\n"
    in_root(tmp_path, "/run/secrets/synapse/signing.key").write_text(text)
    answer = load([request], tmp_path)["synapse-main-0"]
    assert answer.get("signing_key") == f"ed25519:{made.signing_key_version}", answer
