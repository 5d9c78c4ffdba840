"""postgresql.conf follows the pod's memory and its WAL volume."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.postgres.parameters import CONNECTION_MEMORY, connection_ceiling, parameters
from kube.quantity import GI, MI


def megabytes(value: str) -> int:
    assert value.endswith("MB"), f"{value} is no number of megabytes"
    return int(value.removesuffix("MB"))


def conf(memory: int = 64 * GI, wal: int = 200 * GI, connections: int = 1600, **overrides: str) -> dict[str, str]:
    return parameters(memory=memory, wal=wal, max_connections=connections, overrides=overrides)


def test_a_quarter_of_the_memory_is_buffers() -> None:
    assert conf(memory=64 * GI)["shared_buffers"] == "16384MB"
    assert conf(memory=8 * GI)["shared_buffers"] == "2048MB"


def test_sorting_gets_half_of_what_buffers_and_backends_leave() -> None:
    # (65536 − 16384 − 1600 × 10) / 2 / 1600
    assert conf()["work_mem"] == "10MB"
    assert conf(memory=8 * GI, connections=400)["work_mem"] == "4MB", "never below PostgreSQL's own default"
    assert conf(memory=512 * GI, connections=100)["work_mem"] == "64MB", "one query must not take a gigabyte"


def test_a_dead_subscriber_cannot_fill_the_wal_volume() -> None:
    made = conf(wal=100 * GI)
    used = megabytes(made["max_slot_wal_keep_size"]) + megabytes(made["max_wal_size"])
    assert used == 61440, "40 GB for slots that lag and 20 GB for checkpoints leave 40 GB while the archive is down"


def test_logical_slots_survive_a_failover() -> None:
    made = conf()
    assert (made["wal_level"], made["hot_standby_feedback"], made["sync_replication_slots"]) == ("logical", "on", "on")


def test_no_statement_and_no_value_goes_to_the_log() -> None:
    made = conf()
    assert made["log_min_error_statement"] == "panic", "a statement of Synapse holds the message that it stores"
    assert made["log_error_verbosity"] == "terse", "the DETAIL of a unique violation holds the values"
    assert made["log_statement"] == "none" and made["log_min_duration_statement"] == "-1"


def test_an_operators_parameter_wins() -> None:
    assert conf(random_page_cost="4")["random_page_cost"] == "4"


@pytest.mark.parametrize(("limit", "ceiling"), [(8 * GI, 409), (32 * GI, 1638), (64 * GI, 3276)])
def test_half_of_the_memory_is_the_most_that_connections_may_take(limit: int, ceiling: int) -> None:
    assert connection_ceiling(limit) == ceiling


@given(memory=st.integers(512 * MI, 512 * GI), wal=st.integers(2 * GI, 1024 * GI), connections=st.integers(50, 5000))
def test_any_pod_gets_a_configuration_that_the_operator_accepts(memory: int, wal: int, connections: int) -> None:
    made = conf(memory=memory, wal=wal, connections=connections)
    assert megabytes(made["shared_buffers"]) * MI <= memory, "CloudNativePG refuses buffers above the requested memory"
    assert megabytes(made["min_wal_size"]) < megabytes(made["max_wal_size"]), "CloudNativePG refuses the contrary"
    assert megabytes(made["max_wal_size"]) * MI < wal, "the volume must be larger than what is kept on it"
    assert all(value for value in made.values())
    if connections <= connection_ceiling(memory):
        backends = connections * CONNECTION_MEMORY + megabytes(made["shared_buffers"]) * MI
        assert backends <= memory * 3 // 4 + MI, "buffers and idle backends leave a quarter for work and the kernel"
