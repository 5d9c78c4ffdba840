"""Which pool: every endpoint of the table, by every method, through a real HAProxy 3.0."""

import json
import time

import pytest

from components.router.plan import (
    INTERNAL_PORT,
    PUBLIC_PORT,
)
from components.router.pools import Pool
from tests.router.samples import LEFT, ROUTED
from tests.tools.router.haproxy import HAProxy
from tests.tools.router.world import (
    backend_of,
    bearer,
    group_of,
    has_cors,
)

pytestmark = pytest.mark.tools


def test_every_endpoint_of_the_table_reaches_its_pool_by_every_method(router: HAProxy) -> None:
    wrong = []
    for method, path, row in ROUTED:
        port = INTERNAL_PORT if path.startswith("/_synapse/admin") else PUBLIC_PORT
        reply = router.ask(method, path, bearer(), port=port)
        if reply.status != 200 or reply.pool != group_of(row.pool):
            got = reply.pool if reply.status == 200 else reply.status
            wrong.append(f"{method} {path}: {got} instead of {group_of(row.pool)}")
    assert not wrong, "\n".join(wrong)


def test_pools_with_the_same_processes_are_told_apart_in_the_log(router: HAProxy) -> None:
    wrong = []
    last = {(method, path): row.pool for method, path, row in ROUTED if "since" not in path}
    for method, path, _ in ROUTED:
        if not path.startswith("/_synapse/admin"):
            router.ask(method, path, bearer())
    time.sleep(0.3)
    seen = {
        (entry["method"], entry["path"]): entry["pool"]
        for entry in (json.loads(line) for line in router.log.splitlines() if line.startswith("{"))
    }
    for (method, path), pool in last.items():
        expected = pool
        if pool is Pool.SYNCHROTRON:
            expected = Pool.INITIAL_SYNCHROTRON  # without `since` or `from`
        if seen.get((method, path)) != expected:
            wrong.append(f"{method} {path}: {seen.get((method, path))} instead of {expected}")
    assert not wrong, "\n".join(wrong)


def test_what_is_left_to_main_reaches_main(router: HAProxy) -> None:
    for method, path, _ in LEFT:
        port = INTERNAL_PORT if path.startswith("/_synapse/admin") else PUBLIC_PORT
        assert router.ask(method, path, bearer(), port=port).pool == "main", f"{method} {path}"


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/_matrix/client/v3/keys/query", "/_synapse/admin/v1/server_version"])
def test_a_method_that_synapse_does_not_know_is_405(router: HAProxy, method: str, path: str) -> None:
    reply = router.ask(method, path)
    assert reply.status == 405 and has_cors(reply)


def test_head_goes_where_get_goes(router: HAProxy) -> None:
    assert backend_of(router, "HEAD", "/_matrix/client/versions") == "generic"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_matrix/client/v3/account/3pid/add"),
        ("POST", "/_matrix/client/v3/account/password"),
        ("POST", "/_matrix/client/v3/rooms/!a:b/upgrade"),
        ("POST", "/_matrix/client/v3/rooms/!a:b/forget"),
        ("POST", "/_matrix/client/v3/rooms/!a:b/report/$e"),
        ("GET", "/_matrix/client/v3/rooms/!a:b/membersx"),
        ("GET", "/_matrix/client/v3/syncx"),
        ("POST", "/_matrix/client/v3/keys/queryx"),
        ("GET", "/_matrix/client/v3/directory/list/room/!a:b"),
        ("POST", "/_matrix/client/v3/user/@a:b/openid/request_token"),
        ("GET", "/_matrix/client/v3/pushers"),
        ("POST", "/_matrix/client/v3/logout"),
        ("POST", "/_matrix/client/unstable/org.matrix.msc4140/delayed_events/x/cancel"),
        ("GET", "/_matrix/client/v3/thirdparty/protocols"),
        ("GET", "/_matrix/client/v3/admin/whois/@a:b"),
        ("GET", "/_synapse/client/pick_idp"),
        ("GET", "/_matrix/static/client/login/"),
    ],
)
def test_what_only_main_serves_reaches_main(router: HAProxy, method: str, path: str) -> None:
    assert router.ask(method, path, bearer()).pool == "main"


@pytest.mark.parametrize(
    ("target", "pool"),
    [
        ("/_matrix/client/v3/sync", "initial-synchrotron"),
        ("/_matrix/client/v3/sync?timeout=0&filter=1", "initial-synchrotron"),
        ("/_matrix/client/v3/sync?since=s1&full_state=true", "initial-synchrotron"),
        ("/_matrix/client/r0/events", "initial-synchrotron"),
        ("/_matrix/client/v3/initialSync", "initial-synchrotron"),
        ("/_matrix/client/v3/sync?since=s1", "synchrotron"),
        ("/_matrix/client/v3/sync?since=s1&full_state=false", "synchrotron"),
        ("/_matrix/client/r0/events?from=s1", "synchrotron"),
        ("/_matrix/client/v3/sync?from=s1", "initial-synchrotron"),
    ],
)
def test_initial_syncs_are_apart(router: HAProxy, target: str, pool: str) -> None:
    assert backend_of(router, "GET", target) == pool
