"""What is not reachable, and whose request it is taken to be."""

import json
from collections.abc import Callable

import pytest

from components.router.plan import (
    FEDERATION_PORT,
    INTERNAL_PORT,
)
from components.router.pools import FEDERATION_POOLS
from tests.router.examples import plan
from tests.router.samples import ROUTED
from tests.tools.router.haproxy import HAProxy
from tests.tools.router.stubs import wait_for
from tests.tools.router.world import (
    bearer,
    group_of,
    settings,
)

pytestmark = pytest.mark.tools


@pytest.mark.parametrize(
    "path",
    [
        "/_synapse/admin/v1/server_version",
        "/_synapse/admin/v2/users/@a:b",
        "/_synapse/admin",
        "/_synapse/admin/",
        "/_synapse/admin/v1/media/quarantine/x/y",
    ],
)
def test_administration_is_closed_in_public_and_open_inside(router: HAProxy, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        reply = router.ask(method, path, bearer())
        assert (reply.status, reply.json["errcode"]) == (403, "M_FORBIDDEN"), f"{method} {path}"
    if path.count("/") > 3:
        assert router.ask("GET", path, bearer(), port=INTERNAL_PORT).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "//_synapse/admin/v1/server_version",
        "/./_synapse/admin/v1/server_version",
        "/%5fsynapse/admin/v1/server_version",
        "/_synapse/%61dmin/v1/server_version",
        "/_synapse//admin/v1/server_version",
        "/_synapse/client2/../admin/v1/server_version",
        "/_SYNAPSE/admin/v1/server_version",
        "/_synapse/replication/x",
        "/_synapse/metrics",
        "/_synapse/mas/x",
        "/health",
        "/metrics",
        "/",
        "/index.html",
        "/_matri",
    ],
)
def test_unknown_paths_are_404_in_json(router: HAProxy, path: str) -> None:
    reply = router.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (reply.status, reply.json["errcode"]) == (404, "M_UNRECOGNIZED")


def test_administration_is_closed_inside_for_other_addresses(router: HAProxy, another: Callable[..., HAProxy]) -> None:
    strict = another(plan("small", settings=settings(admin_clients=("10.9.9.0/24",))))
    path = "/_synapse/admin/v1/server_version"
    assert strict.ask("GET", path, bearer(), port=INTERNAL_PORT).status == 403
    by_proxy = {**bearer(), "X-Forwarded-For": "10.9.9.7"}
    assert strict.ask("GET", path, by_proxy, port=INTERNAL_PORT).status == 200
    assert strict.ask("GET", "/_matrix/client/v3/sync", bearer(), port=INTERNAL_PORT).status == 200


def test_without_federation_other_servers_find_nothing(closed: HAProxy) -> None:
    for method, path, _ in ROUTED:
        if path.startswith(("/_matrix/federation", "/_matrix/key")):
            reply = closed.ask(method, path)
            assert (reply.status, reply.json["errcode"]) == (404, "M_UNRECOGNIZED"), f"{method} {path}"
    assert closed.ask("GET", "/_matrix/federation/v1/openid/userinfo?access_token=x").pool == "main"
    assert closed.ask("GET", "/_matrix/federation/v1/openid/userinfo", port=INTERNAL_PORT).pool == "main"
    with pytest.raises(ConnectionRefusedError):
        closed.ask("GET", "/_matrix/federation/v1/version", port=FEDERATION_PORT)


def test_without_federation_everything_else_is_as_with_it(closed: HAProxy) -> None:
    for method, path, row in ROUTED:
        if row.pool not in FEDERATION_POOLS and not path.startswith(("/_synapse/admin", "/_matrix/federation")):
            assert closed.ask(method, path, bearer()).pool == group_of(row.pool), f"{method} {path}"


def test_the_federation_port_has_federation_alone(router: HAProxy) -> None:
    for path in ("/_matrix/client/versions", "/_matrix/media/v3/config", "/_synapse/admin/v1/x", "/_synapse/client/x"):
        assert router.ask("GET", path, port=FEDERATION_PORT).status == 404, path
    assert router.ask("GET", "/_matrix/federation/v1/version", port=FEDERATION_PORT).pool == "federation-reader"
    assert router.ask("GET", "/_matrix/key/v2/server", port=FEDERATION_PORT).pool == "federation-reader"
    assert router.ask("GET", "/_matrix/federation/v1/media/download/x", port=FEDERATION_PORT).pool == "media"
    assert router.ask("GET", "/_matrix/federation/v1/openid/userinfo", port=FEDERATION_PORT).pool == "main"


def test_the_client_address_of_a_trusted_proxy_is_the_last_one(router: HAProxy) -> None:
    for sent in ("6.6.6.6, 203.0.113.7", "203.0.113.7", "junk, 203.0.113.7"):
        got = router.ask("GET", "/_matrix/client/versions", {"X-Forwarded-For": sent}).json["headers"]
        assert got["x-forwarded-for"] == ["203.0.113.7"], "Synapse believes the first address, so there must be one"
        assert got["x-forwarded-proto"] == ["https"]
    for sent in ("junk", "6.6.6.6, junk", ""):
        got = router.ask("GET", "/_matrix/client/versions", {"X-Forwarded-For": sent}).json["headers"]
        assert got["x-forwarded-for"] == ["127.0.0.1"], "what is no address is replaced by the proxy's own"
    by_http = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "http"}
    assert router.ask("GET", "/_matrix/client/versions", by_http).json["headers"]["x-forwarded-proto"] == ["http"]
    line = b"GET /_matrix/client/versions HTTP/1.1\r\nHost: x\r\n"
    two = b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
    assert router.raw(line + two).json["headers"]["x-forwarded-for"] == ["203.0.113.7"], "two headers are one list"
    wait_for(lambda: '"client": "203.0.113.7"' in router.log, 5, "the client's address in the log")


def test_forwarded_headers_of_anybody_else_are_thrown_away(another: Callable[..., HAProxy]) -> None:
    router = another(plan("small", settings=settings(trusted_proxies=("10.0.0.0/8",))))
    sent = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http"}
    got = router.ask("GET", "/_matrix/client/versions", sent).json["headers"]
    assert got["x-forwarded-for"] == ["127.0.0.1"]
    assert got["x-forwarded-proto"] == ["https"]


def test_two_proxies_in_a_row(another: Callable[..., HAProxy]) -> None:
    router = another(plan("small", settings=settings(trusted_hops=2)))
    sent = {"X-Forwarded-For": "6.6.6.6, 203.0.113.7, 10.0.0.1"}
    assert router.ask("GET", "/_matrix/client/versions", sent).json["headers"]["x-forwarded-for"] == ["203.0.113.7"]


def test_no_token_is_in_any_log(router: HAProxy) -> None:
    secrets = [
        "syt_c2VjcmV0_inheaderxxxxxxxxxxxx_0aBcDe",
        "syt_c2VjcmV0_inqueryxxxxxxxxxxxxx_0aBcDe",
        "regtoken5ecret",
        "s1gnature",
    ]
    router.ask("GET", "/_matrix/client/v3/sync?since=s1", bearer(secrets[0]))
    router.ask("GET", f"/_matrix/client/v3/sync?since=s1&access_token={secrets[1]}")
    router.ask("GET", f"/unknown?access_token={secrets[1]}")
    router.ask("GET", f"/_synapse/admin/v1/registration_tokens/{secrets[2]}", bearer(), port=INTERNAL_PORT)
    router.ask("PUT", "/_matrix/federation/v1/send/1", {"Authorization": f'X-Matrix origin="a",sig="{secrets[3]}"'})
    router.raw(
        f"GET /x?access_token={secrets[1]} HTTP/1.1\r\nAuthorization: Bearer {secrets[0]}\r\nBad\r\n\r\n".encode()
    )
    router.ask("GET", "/_matrix/client/v3/joined_rooms?mark=1", bearer())
    wait_for(lambda: router.log.rstrip().endswith("}") and "joined_rooms" in router.log.splitlines()[-1], 5, "the log")
    for secret in secrets:
        assert secret not in router.log
    assert "access_token" not in router.log
    lines = [line for line in router.log.splitlines() if line.startswith("{")]
    assert all(json.loads(line)["listener"] for line in lines), "each line is JSON"


def test_the_log_is_about_errors_and_the_routers_own_answers(another: Callable[..., HAProxy]) -> None:
    router = another(plan("small", settings=settings(log_all=False)))
    router.ask("GET", "/_matrix/client/v3/joined_rooms", bearer())
    router.ask("GET", "/nowhere")
    router.ask("PUT", "/_matrix/client/v3/rooms/!a:b/typing/@a:b?stub_break=1", bearer())
    wait_for(lambda: '"status": 404' in router.log and '"status": 502' in router.log, 5, "errors in the log")
    assert "joined_rooms" not in router.log, "what Synapse logs itself is logged twice"
