"""The table of endpoints and what is compiled from it, without any program of others."""

import re

import pytest

from components.router.endpoints import ENDPOINTS
from components.router.maps import METHODS, Answer, federation_map, internal_map, lookup, public_map
from components.router.pools import FEDERATION_POOLS, POOLS, Choice, Pool
from tests.router.samples import LEFT, ROUTED

EVERYTHING = internal_map(Pool, federation=True)


def test_every_row_leads_to_its_pool() -> None:
    for method, path, row in ROUTED:
        assert lookup(method, path, EVERYTHING) == row.pool, f"{method} {path}"
    for method, path, _ in LEFT:
        assert lookup(method, path, EVERYTHING) == Pool.MAIN, f"{method} {path}"


def test_no_endpoint_is_in_the_table_twice() -> None:
    seen: set[tuple[str, str]] = set()
    for row in ENDPOINTS:
        for path in row.paths:
            for method in row.methods:
                pair = (method, re.sub(r"\{\w+\}", "{}", path))
                assert pair not in seen, f"{pair} has two rows"
                seen.add(pair)


def test_every_pool_but_main_has_an_endpoint() -> None:
    assert {row.pool for row in ENDPOINTS} == set(Pool) - {Pool.MAIN}
    assert set(POOLS) == set(Pool)


@pytest.mark.parametrize("absent", [pool for pool in Pool if pool is not Pool.MAIN])
def test_an_absent_pool_goes_to_main_and_never_to_generic_workers(absent: Pool) -> None:
    maps = internal_map(set(Pool) - {absent}, federation=True)
    expected = Pool.SYNCHROTRON if absent is Pool.INITIAL_SYNCHROTRON else Pool.MAIN
    for method, path, row in ROUTED:
        assert lookup(method, path, maps) == (expected if row.pool is absent else row.pool), f"{method} {path}"


def test_the_writers_of_streams_are_one_process_or_any_of_theirs() -> None:
    single = {Pool.TYPING, Pool.TO_DEVICE, Pool.ACCOUNT_DATA, Pool.PRESENCE, Pool.PUSH_RULES}
    assert {pool for pool in POOLS if POOLS[pool].choice is Choice.ONLY} == single | {Pool.MAIN}


def test_a_pool_without_fallback_says_why() -> None:
    for pool, traits in POOLS.items():
        assert bool(traits.no_fallback_why) is not traits.fallback, pool


def test_map_entries_hold_no_character_that_a_map_file_cannot() -> None:
    for entries in (EVERYTHING, public_map(Pool, True), public_map(Pool, False), federation_map(Pool)):
        for key, value in entries.items():
            assert re.fullmatch(r"[^\s#]+", key) and re.fullmatch(r"[^\s]+", value), (key, value)


def test_listeners_differ_as_they_should() -> None:
    admin = "/_synapse/admin/v1/rooms/!a:b"
    server = "/_matrix/federation/v1/send/1"
    client = "/_matrix/client/v3/joined_rooms"
    for federation in (True, False):
        public, internal = public_map(Pool, federation), internal_map(Pool, federation)
        for entries in (public, internal):
            assert lookup("GET", client, entries) == Pool.GENERIC
            assert lookup("PUT", server, entries) == (Pool.FEDERATION_INBOUND if federation else Answer.UNKNOWN)
        assert lookup("GET", admin, public) == Answer.CLOSED
        assert lookup("GET", admin, internal) == Pool.MAIN
    others = federation_map(Pool)
    assert lookup("PUT", server, others) == Pool.FEDERATION_INBOUND
    assert lookup("GET", client, others) == lookup("GET", admin, others) == Answer.UNKNOWN


def test_without_federation_no_federation_path_is_open_but_userinfo() -> None:
    for entries in (public_map(Pool, False), internal_map(Pool, False)):
        below = {key: value for key, value in entries.items() if re.match(r"[A-Z]+/_matrix/(federation|key)", key)}
        opened = {key for key, value in below.items() if value != Answer.UNKNOWN}
        assert opened == {f"{method}/_matrix/federation/v1/openid/userinfo/$" for method in METHODS}


def test_a_method_that_synapse_does_not_know_is_in_no_map() -> None:
    assert lookup("PATCH", "/_synapse/admin/v1/x", EVERYTHING) == Answer.UNKNOWN


def test_methods_of_rows_have_a_map() -> None:
    assert {method for row in ENDPOINTS for method in row.methods} | {"HEAD"} == set(METHODS)
    assert not {p for p in FEDERATION_POOLS if POOLS[p].resource.value != "federation"}
