"""The table of endpoints and what is compiled from it, without any program of others."""

import re

import pytest

from components.router.endpoints import ENDPOINTS
from components.router.maps import (
    METHODS,
    Area,
    area,
    federation_heads,
    internal_heads,
    lookup,
    method_maps,
    public_heads,
)
from components.router.pools import FEDERATION_POOLS, POOLS, Choice, Pool
from tests.router.samples import LEFT, ROUTED

ALL_POOLS = method_maps(Pool)


def test_every_row_leads_to_its_pool() -> None:
    for method, path, row in ROUTED:
        assert lookup(method, path, ALL_POOLS) is row.pool, f"{method} {path}"
    for method, path, _ in LEFT:
        assert lookup(method, path, ALL_POOLS) is Pool.MAIN, f"{method} {path}"


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
    maps = method_maps(set(Pool) - {absent})
    expected = Pool.SYNCHROTRON if absent is Pool.INITIAL_SYNCHROTRON else Pool.MAIN
    for method, path, row in ROUTED:
        assert lookup(method, path, maps) is (expected if row.pool is absent else row.pool), f"{method} {path}"


def test_the_writers_of_streams_are_one_process_or_any_of_theirs() -> None:
    single = {Pool.TYPING, Pool.TO_DEVICE, Pool.ACCOUNT_DATA, Pool.PRESENCE, Pool.PUSH_RULES}
    assert {pool for pool in POOLS if POOLS[pool].choice is Choice.ONLY} == single | {Pool.MAIN}


def test_a_pool_without_fallback_says_why() -> None:
    for pool, traits in POOLS.items():
        assert bool(traits.no_fallback_why) is not traits.fallback, pool


def test_keys_hold_no_character_that_a_map_file_cannot() -> None:
    for entries in (*ALL_POOLS.values(), public_heads(True), internal_heads(True), federation_heads()):
        for key in entries:
            assert not re.search(r"\s|^#", key), key


def test_listeners_differ_as_they_should() -> None:
    admin = "/_synapse/admin/v1/rooms/!a:b"
    server = "/_matrix/federation/v1/send/1"
    client = "/_matrix/client/v3/sync"
    for federation in (True, False):
        assert area(public_heads(federation), admin) == Area.CLOSED
        assert area(internal_heads(federation), admin).startswith("p")
        assert area(public_heads(federation), client).startswith("p")
        closed = area(public_heads(federation), server) == Area.UNRECOGNIZED
        assert closed is not federation
    assert area(federation_heads(), server).startswith("p")
    assert area(federation_heads(), client) == area(federation_heads(), admin) == Area.UNKNOWN


def test_without_federation_no_federation_path_is_open_but_userinfo() -> None:
    for heads in (public_heads(False), internal_heads(False)):
        opened = {
            h for h, value in heads.items() if h.startswith(("/_matrix/federation", "/_matrix/key")) and value[0] == "p"
        }
        assert opened == {"/_matrix/federation/v1/openid/userinfo"}


def test_methods_of_rows_have_a_map() -> None:
    assert {method for row in ENDPOINTS for method in row.methods} == set(METHODS)
    assert not {p for p in FEDERATION_POOLS if POOLS[p].resource.value != "federation"}
