"""What is in which file: the lists, the caches, the sizes, and no secret anywhere."""

from typing import Any

import pytest
import yaml

from components.router.files import config_files as router_files
from components.synapse.caches import caches, global_factor
from components.synapse.files import all_files, application_name, process_config, shared_files
from components.synapse.homeserver import homeserver
from components.synapse.instances import duties, instance_map, sender_shards, senders, stream_writers, writer_shards
from components.synapse.media import ALWAYS_BLOCKED, clean_environment, seconds
from components.synapse.plan import SynapsePlan
from components.synapse.process_types import ProcessType
from kube.quantity import GI, MI
from tests.synapse.builders import LARGE, MEDIUM, SMALL, plan, platform


def shared(made: SynapsePlan) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(shared_files(made).data["homeserver.yaml"])
    return loaded


def test_main_is_main_in_the_map_and_never_a_writer() -> None:
    processes = plan(LARGE).processes
    where = instance_map(processes, platform(LARGE))
    assert where["main"] == {"host": "synapse-main-0.synapse-main.matrix.svc.cluster.local", "port": 9093}
    assert "master" not in where, "Synapse itself turns main into master"
    assert all("main" not in name for names in stream_writers(processes).values() for name in names)


@pytest.mark.parametrize("users", [SMALL, MEDIUM, LARGE])
def test_every_writer_is_in_the_map(users: int) -> None:
    processes = plan(users, federation=True).processes
    where = instance_map(processes, platform(users))
    named = {name for names in stream_writers(processes).values() for name in names}
    assert named == set(where) - {"main"}, "Synapse refuses a writer without an address; an address alone is a leftover"


def test_nothing_that_scales_is_named_anywhere() -> None:
    made = plan(LARGE, federation=True)
    for files in all_files(made):
        for name, text in files.data.items():
            for process in made.processes:
                if process.traits.scales and name != "process.yaml":
                    assert process.name not in text, f"{files.base}/{name} would change when {process.name} scales"


def test_persisters_are_listed_in_the_order_of_their_ordinals() -> None:
    processes = plan(LARGE, workers={"event_persister": {"replicas": 12}}).processes
    assert stream_writers(processes)["events"] == [f"synapse-event-persister-{i}" for i in range(12)], (
        "Synapse takes hash modulo length as an index: the order is the meaning"
    )


def test_shards_change_with_lists_and_with_nothing_else() -> None:
    base = plan(SMALL, federation=True)
    same = plan(
        SMALL, federation=True, log_level="DEBUG", workers={"generic": {"replicas": 9}, "pusher": {"replicas": 3}}
    )
    assert writer_shards(base.processes) == writer_shards(same.processes)
    for key in ("event_persister", "receipts", "device_lists"):
        current = base.processes[ProcessType(key.replace("_", "-"))].replicas
        other = plan(SMALL, federation=True, workers={key: {"replicas": 3 - current}})
        assert writer_shards(other.processes) != writer_shards(base.processes), f"{key} divides a stream"
    more = plan(SMALL, federation=True, workers={"federation_sender": {"replicas": 2}})
    assert writer_shards(more.processes) == writer_shards(base.processes), "senders write no stream"
    assert sender_shards(more.processes) != sender_shards(base.processes)


def test_without_federation_nobody_is_a_sender() -> None:
    processes = plan(SMALL).processes
    assert senders(processes) == []
    assert sender_shards(processes) is None
    assert shared(plan(SMALL))["federation_domain_whitelist"] == []


def test_with_federation_everybody_or_the_allowed_may_be_talked_to() -> None:
    assert "federation_domain_whitelist" not in shared(plan(SMALL, federation=True))
    named = shared(plan(SMALL, federation=True, federation_allow=("a.example.org",)))
    assert named["federation_domain_whitelist"] == ["a.example.org"]


def test_duties_are_told_to_main_and_to_who_has_them() -> None:
    processes = plan(LARGE, federation=True).processes
    told = {process.type: set(duties(process, processes)) for process in processes}
    every = {
        "run_background_tasks_on",
        "notify_appservices_from_worker",
        "update_user_directory_from_worker",
        "pusher_instances",
    }
    assert told[ProcessType.MAIN] == every, "main does each of these unless it is told who else does"
    assert told[ProcessType.BACKGROUND] == {"run_background_tasks_on"}
    assert told[ProcessType.PUSHER] == {"pusher_instances"}
    assert told[ProcessType.MEDIA_REPOSITORY] == {"media_instance_running_background_jobs"}
    assert told[ProcessType.GENERIC] == set(), "a list that it does not read would restart it for nothing"


def test_a_connection_tells_which_lists_its_process_was_started_with() -> None:
    made = plan(SMALL, federation=True)
    generic = application_name(made, made.processes[ProcessType.GENERIC])
    assert generic == f"synapse-generic/{writer_shards(made.processes)}"
    sender = application_name(made, made.processes[ProcessType.FEDERATION_SENDER])
    assert sender.split("/")[1:] == [writer_shards(made.processes), sender_shards(made.processes)]


@pytest.mark.parametrize(
    ("limit", "factor"), [(256 * MI, 0.5), (512 * MI, 0.5), (GI, 1), (2 * GI, 2), (4 * GI, 4), (16 * GI, 10)]
)
def test_the_cache_factor_follows_the_memory_limit(limit: int, factor: float) -> None:
    assert global_factor(limit) == factor


def test_caches_are_evicted_well_before_the_limit() -> None:
    tuning = caches(2 * GI)["cache_autotuning"]
    assert tuning == {
        "max_cache_memory_usage": 1331 * MI,
        "target_cache_memory_usage": 1024 * MI,
        "min_cache_ttl": "5m",
    }


def test_one_upload_size_reaches_router_and_synapse_and_nobody_else() -> None:
    made = plan(SMALL, max_upload_size="321M")
    size = 321 * 2**20
    media = process_config(made, made.processes[ProcessType.MEDIA_REPOSITORY])
    assert media["max_upload_size"] == size == made.router.max_upload_bytes
    assert str(size) in "".join(router_files(made.router).data.values()), "413 at the edge, before Synapse is reached"
    for process in made.processes:
        if process.type is not ProcessType.MEDIA_REPOSITORY:
            assert "max_upload_size" not in process_config(made, process), "it would restart for a value it never reads"
    assert "max_upload_size" not in shared(made)


def test_previews_block_every_special_range_and_the_operators_own() -> None:
    made = plan(SMALL, url_previews={"enabled": True, "ip_range_blacklist": ["198.51.7.0/24"]})
    media = process_config(made, made.processes[ProcessType.MEDIA_REPOSITORY])
    assert set(media["url_preview_ip_range_blacklist"]) == {*ALWAYS_BLOCKED, "198.51.7.0/24"}
    for inside in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "::1/128"):
        assert inside in ALWAYS_BLOCKED, "a link must not become a request inside our own network"


def test_presence_follows_the_scale_unless_it_is_said() -> None:
    def enabled(users: int, **settings: Any) -> bool:
        return bool(shared(plan(users, **settings))["presence"]["enabled"])

    assert [enabled(users) for users in (SMALL, MEDIUM, MEDIUM + 1, LARGE)] == [True, True, False, False]
    assert enabled(LARGE, presence="on")
    assert not enabled(SMALL, presence="off")


def test_an_operators_keys_are_in_the_shared_file_and_replace_nothing() -> None:
    made = plan(SMALL, extra={"default_room_version": "11"})
    document = shared(made)
    assert document.pop("default_room_version") == "11"
    assert document == homeserver(plan(SMALL).settings, made.platform, redis_host=made.redis.host, federation_allow=())


@pytest.mark.parametrize("federation", [False, True])
def test_no_config_file_holds_a_secret(federation: bool) -> None:
    made = plan(LARGE, federation=federation, url_previews={"enabled": True})
    for files in all_files(made):
        for name, text in files.data.items():
            for line in text.splitlines():
                key = line.strip().lstrip("- ").split(":")[0]
                ends = key.endswith(("password", "secret", "secret_key", "access_key", "token", "signing_key"))
                assert not (name.endswith(".yaml") and ends), f"{files.base}/{name}: {line.strip()!r}"


def test_durations_become_seconds() -> None:
    assert [seconds(text) for text in ("90s", "5m", "12h", "1d", "1w", "1y")] == [
        90, 300, 43_200, 86_400, 604_800, 31_536_000,
    ]  # fmt: skip


def test_the_clean_up_tries_ever_younger_files() -> None:
    made = plan(SMALL, media={"cache": "10Gi", "cache_age": "2h"})
    environment = clean_environment(made.settings, made.media)
    assert environment["CLEAN_AGES"] == "7200 3600 600", "ages above the operator's own would delete nothing more"
    assert environment["CLEAN_ABOVE_BYTES"] == str(int(0.75 * 10 * GI))


def test_rendering_is_the_same_every_time() -> None:
    assert [f.name for f in all_files(plan(LARGE))] == [f.name for f in all_files(plan(LARGE))]
