"""Counts of processes: from the band, from the operator, and what is refused with which words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.synapse.checks import check
from components.synapse.process_types import BANDS, TYPES, ProcessType, band
from components.synapse.processes import MAINTENANCE_CONNECTIONS, plan_processes
from components.synapse.settings import SynapseSettings, WorkerSettings
from tests.synapse.builders import LARGE, MEDIUM, SMALL, plan, platform

SINGLE = (
    ProcessType.MAIN,
    ProcessType.TYPING,
    ProcessType.TO_DEVICE,
    ProcessType.ACCOUNT_DATA,
    ProcessType.PRESENCE,
    ProcessType.PUSH_RULES,
    ProcessType.BACKGROUND,
    ProcessType.USER_DIRECTORY,
    ProcessType.APPSERVICE,
)
FEDERATION = (ProcessType.FEDERATION_SENDER, ProcessType.FEDERATION_INBOUND, ProcessType.FEDERATION_READER)


def problems(federation: bool = False, disk: int | None = None, **settings: Any) -> list[str]:
    parsed = SynapseSettings.model_validate(settings)
    return [str(p) for p in check(parsed, federation=federation, application_disk=disk)]


def test_every_type_can_be_set_in_the_stack_file() -> None:
    assert {t.key for t in ProcessType} == set(WorkerSettings.model_fields), "a type without a setting, or the reverse"
    assert set(TYPES) == set(ProcessType), "a type that nothing is known of"


@pytest.mark.parametrize(
    ("users", "expected"), [(1, 0), (1_000, 0), (1_001, 1), (5_000, 1), (5_001, 2), (10_000, 2), (20_000, 3)]
)
def test_a_band_ends_at_its_upper_end(users: int, expected: int) -> None:
    assert band(users) == expected


@pytest.mark.parametrize("users", BANDS)
def test_single_writers_and_single_duties_are_one_at_every_scale(users: int) -> None:
    processes = plan_processes(SynapseSettings(), platform(users))
    for process_type in SINGLE:
        assert processes[process_type].maximum == 1, f"Synapse refuses a second {process_type}"


def test_the_same_types_exist_at_every_scale() -> None:
    names = [{p.name for p in plan(users).processes} for users in (SMALL, MEDIUM, LARGE)]
    assert names[0] == names[1] == names[2], "scales differ in counts, never in what there is"


def test_federation_types_exist_with_federation_on_and_not_otherwise() -> None:
    closed, opened = plan(SMALL).processes, plan(SMALL, federation=True).processes
    assert {p.type for p in opened} - {p.type for p in closed} == set(FEDERATION)
    with pytest.raises(KeyError, match="federation-sender"):
        _ = closed[ProcessType.FEDERATION_SENDER]


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.booleans())
def test_more_users_never_mean_fewer_processes_or_smaller_ones(one: int, other: int, federation: bool) -> None:
    few, many = sorted((one, other))
    small = plan_processes(SynapseSettings(), platform(few, federation=federation))
    large = plan_processes(SynapseSettings(), platform(many, federation=federation))
    for less, more in zip(small, large, strict=True):
        assert less.replicas <= more.replicas, less.type
        assert less.maximum <= more.maximum, less.type
        assert less.resources.memory_limit <= more.resources.memory_limit, less.type
        assert less.resources.cpu <= more.resources.cpu, less.type


def test_connections_are_counted_with_autoscalers_at_their_maximum() -> None:
    processes = plan(SMALL, workers={"synchrotron": {"replicas": 4, "autoscale": {"max": 10}, "cp_max": 7}}).processes
    assert processes[ProcessType.SYNCHROTRON].connections == 70, "ten synchrotrons may come, with seven each"
    rest = sum(p.connections for p in processes if p.type is not ProcessType.SYNCHROTRON)
    assert processes.connections == 70 + rest + MAINTENANCE_CONNECTIONS


def test_an_operators_count_above_the_bands_peak_raises_the_peak() -> None:
    synchrotron = plan(LARGE, workers={"synchrotron": {"replicas": 30}}).processes[ProcessType.SYNCHROTRON]
    assert (synchrotron.replicas, synchrotron.maximum) == (30, 30), "the autoscaler's minimum may not pass its maximum"


def test_sixteen_to_twenty_synchrotrons_stay_below_the_bands_peak() -> None:
    before = plan(LARGE).processes[ProcessType.SYNCHROTRON]
    after = plan(LARGE, workers={"synchrotron": {"replicas": 20}}).processes[ProcessType.SYNCHROTRON]
    assert (before.replicas, after.replicas) == (16, 20)
    assert before.maximum == after.maximum, "so neither the router's slots nor the sum of connections change"


def test_autoscaling_can_be_switched_off_and_on() -> None:
    off = plan(SMALL, workers={"generic": {"autoscale": {"enabled": False}}}).processes[ProcessType.GENERIC]
    assert off.autoscale is None
    assert off.maximum == off.replicas
    on = plan(SMALL, workers={"sliding_sync": {"autoscale": {"max": 5}}}).processes[ProcessType.SLIDING_SYNC]
    assert on.autoscale
    assert (on.autoscale.maximum, on.autoscale.cpu_percent) == (5, 70)


def test_pods_of_a_type_that_scales_cannot_be_named() -> None:
    with pytest.raises(ValueError, match="may not be named in any configuration"):
        _ = plan(SMALL).processes[ProcessType.SYNCHROTRON].pod_names


def test_the_media_process_is_one_and_says_that_the_band_asks_for_more() -> None:
    media = plan(LARGE).processes[ProcessType.MEDIA_REPOSITORY]
    assert (media.replicas, media.limited) == (1, True)


def test_two_typing_writers_are_refused_with_the_reason() -> None:
    (problem,) = problems(workers={"typing": {"replicas": 2}})
    assert problem == (
        "synapse.workers.typing.replicas: must be exactly 1: Synapse refuses to start with two writers of typing: the "
        "stream has one order and one writer gives it. It is rarely busy; give it more CPU instead (got 2)"
    )


@pytest.mark.parametrize("process_type", SINGLE)
def test_a_second_process_of_a_single_type_is_refused(process_type: ProcessType) -> None:
    (problem,) = problems(workers={process_type.key: {"replicas": 2}})
    assert problem.startswith(f"synapse.workers.{process_type.key}.replicas: must be exactly 1: ")


@pytest.mark.parametrize("key", ["receipts", "device_lists"])
def test_three_receipts_or_device_lists_writers_are_refused_and_two_are_not(key: str) -> None:
    assert problems(workers={key: {"replicas": 2}}) == []
    (problem,) = problems(workers={key: {"replicas": 3}})
    assert f"synapse.workers.{key}.replicas: must be at most 2" in problem


def test_a_second_media_process_is_refused_with_the_reason() -> None:
    (problem,) = problems(workers={"media_repository": {"replicas": 2}})
    assert "must be exactly 1" in problem
    assert "a file uploaded through one would be missing in the other" in problem


@pytest.mark.parametrize("process_type", list(ProcessType))
def test_a_count_below_one_is_refused(process_type: ProcessType) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        SynapseSettings.model_validate({"workers": {process_type.key: {"replicas": 0}}})


def test_what_others_name_cannot_be_autoscaled() -> None:
    (problem,) = problems(workers={"event_persister": {"autoscale": {"max": 9}}})
    assert problem.startswith(
        "synapse.workers.event_persister.autoscale: cannot be autoscaled: its processes are named"
    )


def test_an_autoscaler_below_its_minimum_is_refused() -> None:
    (problem,) = problems(workers={"generic": {"replicas": 6, "autoscale": {"max": 5}}})
    assert "synapse.workers.generic.autoscale.max: must be at least replicas (6)" in problem


def test_federation_processes_are_refused_while_federation_is_off() -> None:
    (problem,) = problems(workers={"federation_sender": {"replicas": 2}})
    assert "synapse.workers.federation_sender: has no meaning while federation.enabled is false" in problem
    assert problems(federation=True, workers={"federation_sender": {"replicas": 2}}) == []


def test_a_secret_in_the_environment_is_refused_without_repeating_it() -> None:
    (problem,) = problems(workers={"generic": {"extra_env": {"SENTRY_TOKEN": "s3cr3t-value"}}})
    assert "looks like a secret" in problem
    assert "s3cr3t-value" not in problem


def test_too_little_memory_is_refused() -> None:
    (problem,) = problems(workers={"typing": {"resources": {"cpu": "50m", "memory": "128Mi"}}})
    assert "synapse.workers.typing.resources: must allow at least 256Mi" in problem


def test_all_problems_come_at_once() -> None:
    found = problems(
        workers={"typing": {"replicas": 2}, "presence": {"replicas": 3}, "main": {"replicas": 2}},
        trusted_key_servers=["keys.example.org"],
    )
    assert len(found) == 4, found


def test_a_media_cache_larger_than_the_nodes_disk_is_refused() -> None:
    assert problems(disk=200 * 2**30) == []
    (problem,) = problems(disk=200 * 2**30, media={"cache": "120Gi"})
    assert "more than half of an application node's disk (200Gi)" in problem


def test_a_media_cache_smaller_than_four_uploads_is_refused() -> None:
    (problem,) = problems(max_upload_size="1G", media={"cache": "3Gi"})
    assert "synapse.media.cache: must hold at least four uploads" in problem


def test_previews_without_the_internet_are_refused() -> None:
    (problem,) = problems(internet=False, url_previews={"enabled": True})
    assert "synapse.url_previews.enabled: needs synapse.internet" in problem
