"""What the router says itself: preflights, well-known, errors, limits."""

import json
import re
from collections.abc import Callable

import pytest

from components.router.plan import (
    INTERNAL_PORT,
    MAX_REQUEST_BYTES,
)
from components.router.responses import CORS, ERRORS
from tests.router.examples import MAX_UPLOAD_BYTES, SERVER_NAME, plan
from tests.tools.router.haproxy import HAProxy, Reply
from tests.tools.router.world import (
    TOKEN,
    World,
    bearer,
    has_cors,
    limited,
    settings,
    token_of,
)

pytestmark = pytest.mark.tools


@pytest.mark.parametrize("path", ["/_matrix/client/v3/sync", "/_matrix/media/v3/upload", "/.well-known/matrix/client"])
def test_preflights_are_answered_without_synapse(router: HAProxy, world: World, path: str) -> None:
    before = sum(stub.requests for stub in world.stubs.by_name.values())
    reply = router.ask("OPTIONS", path, {"Origin": "https://app", "Access-Control-Request-Method": "PUT"})
    assert (reply.status, reply.body) == (204, b"")
    assert has_cors(reply)
    assert sum(stub.requests for stub in world.stubs.by_name.values()) == before


def test_well_known_documents(router: HAProxy, closed: HAProxy) -> None:
    client = router.ask("GET", "/.well-known/matrix/client")
    assert (client.status, client.json) == (200, {"m.homeserver": {"base_url": f"https://{SERVER_NAME}"}})
    assert client.headers["content-type"] == "application/json" and has_cors(client)
    assert router.ask("GET", "/.well-known/matrix/support").json["contacts"][0]["role"] == "m.role.admin"
    assert router.ask("GET", "/.well-known/matrix/server").json == {"m.server": f"{SERVER_NAME}:443"}
    assert closed.ask("GET", "/.well-known/matrix/server").status == 404, "delegation with federation off"
    assert closed.ask("GET", "/.well-known/matrix/client").status == 200
    head = router.ask("HEAD", "/.well-known/matrix/client")
    assert (head.status, head.body) == (200, b"")
    for method in ("POST", "PUT", "DELETE"):
        refused = router.ask(method, "/.well-known/matrix/client")
        assert (refused.status, refused.json["errcode"]) == (405, "M_UNRECOGNIZED")
    assert router.ask("GET", "/.well-known/matrix/clients").status == 404
    assert router.ask("GET", "/.well-known/other").status == 404


def test_every_error_file_is_json_with_cors(router: HAProxy) -> None:
    for error in ERRORS:
        head, _, body = error.file.partition("\r\n\r\n")
        assert json.loads(body)["errcode"].startswith("M_")
        assert all(f"{name}: {value}\r\n" in f"{head}\r\n" for name, value in CORS.items())
        assert f"Content-Length: {len(body)}" in head
        if error.status in (429, 503):
            assert f"Retry-After: {error.retry_seconds}" in head
            assert json.loads(body)["retry_after_ms"] == 1000 * (error.retry_seconds or 0)


def test_what_is_not_even_http_is_refused(router: HAProxy, world: World) -> None:
    """HAProxy's parser says so in its own words, before there is a request that our files could apply to. No
    browser can send such a request, so that nobody misses CORS headers."""
    before = sum(stub.requests for stub in world.stubs.by_name.values())
    for garbage in (
        b"GET /_matrix/client/versions HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n",
        b"GET * HTTP/1.1\r\n\r\n",
    ):
        assert router.raw(garbage).status == 400
    assert sum(stub.requests for stub in world.stubs.by_name.values()) == before


def test_a_request_that_does_not_arrive_ends(another: Callable[..., HAProxy]) -> None:
    quick = another(
        plan("small", settings=settings()),
        edit=lambda text: text.replace("timeout http-request 10s", "timeout http-request 1s"),
    )
    assert quick.raw(b"GET /_matrix/client/versions HTTP/1.1\r\nHost: x\r\n").status == 408


def test_too_large_bodies_are_413_before_they_are_sent(router: HAProxy, world: World) -> None:
    def announce(path: str, size: int) -> Reply:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {size}\r\n\r\n"
        return router.raw(head.encode() + b"x")

    for path, limit in (
        ("/_matrix/media/v3/upload", MAX_UPLOAD_BYTES),
        ("/_matrix/client/v3/keys/query", MAX_REQUEST_BYTES),
    ):
        reply = announce(path, limit + 1)
        assert (reply.status, reply.json["errcode"]) == (413, "M_TOO_LARGE"), path
        assert has_cors(reply)
    reply = router.ask("POST", "/_matrix/media/v3/upload", bearer(), body=b"x" * (MAX_REQUEST_BYTES + 1))
    assert reply.json["body"] == MAX_REQUEST_BYTES + 1, "an upload may be larger than another request"


def test_a_client_that_sends_all_of_a_too_large_body_still_reads_413(router: HAProxy) -> None:
    reply = router.ask("POST", "/_matrix/client/v3/keys/query", bearer(), body=b"x" * (MAX_REQUEST_BYTES + 1))
    assert reply.status == 413


def test_a_chunked_upload_passes(router: HAProxy) -> None:
    chunks = (b"x" * 50_000 for _ in range(20))
    reply = router.ask("POST", "/_matrix/media/v3/upload", bearer(), body=chunks)
    assert reply.json["body"] == 1_000_000


def test_a_process_that_does_not_answer_is_504_and_one_that_breaks_off_502(another: Callable[..., HAProxy]) -> None:
    quick = another(
        plan("small", settings=settings()), edit=lambda text: re.sub(r"timeout server \d+s", "timeout server 1s", text)
    )
    reply = quick.ask("PUT", "/_matrix/client/v3/rooms/!a:b/typing/@a:b?stub_sleep=5", bearer())
    assert (reply.status, reply.json["errcode"]) == (504, "M_UNKNOWN") and has_cors(reply)
    reply = quick.ask("PUT", "/_matrix/client/v3/rooms/!a:b/typing/@a:b?stub_break=1", bearer())
    assert (reply.status, reply.json["errcode"]) == (502, "M_UNKNOWN") and has_cors(reply)


def test_a_long_poll_outlives_the_clients_timeout(another: Callable[..., HAProxy]) -> None:
    quick = another(
        plan("small", settings=settings()),
        edit=lambda text: text.replace("timeout client 60s", "timeout client 1s"),
    )
    assert quick.ask("GET", "/_matrix/client/v3/sync?since=s1&stub_sleep=3", bearer()).pool == "synchrotron"


def test_logins_are_limited_by_address(another: Callable[..., HAProxy]) -> None:
    router = another(limited())

    def login(address: str, path: str = "login") -> Reply:
        return router.ask("POST", f"/_matrix/client/v3/{path}", {"X-Forwarded-For": address}, body=b"{}")

    assert [login("203.0.113.7").status for _ in range(5)] == [200] * 5
    refused = login("203.0.113.7")
    assert (refused.status, refused.json["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    assert int(refused.headers["retry-after"]) * 1000 == refused.json["retry_after_ms"]
    assert has_cors(refused)
    assert login("203.0.113.7", "register").status == 429, "the limit is shared by what needs no token"
    assert login("203.0.113.8").status == 200, "another address"
    assert router.ask("GET", "/_matrix/client/v3/login", {"X-Forwarded-For": "203.0.113.7"}).status == 200
    for i in range(5):
        login(f"2001:db8::{i}")
    assert login("2001:db8::99").status == 429, "IPv6 addresses of one network are one client"


def test_requests_are_limited_by_token(another: Callable[..., HAProxy]) -> None:
    router = another(limited(exempt=["198.51.100.0/24"]))
    statuses = [router.ask("GET", "/_matrix/client/v3/joined_rooms", bearer()).status for _ in range(30)]
    assert statuses == [200] * 20 + [429] * 10
    assert router.ask("GET", "/_matrix/client/v3/joined_rooms", bearer(token_of("bob"))).status == 200
    bridge = {**bearer(), "X-Forwarded-For": "198.51.100.3"}
    assert router.ask("GET", "/_matrix/client/v3/joined_rooms", bridge).status == 200, "an exempt address"
    inside = router.ask("GET", "/_matrix/client/v3/joined_rooms", bearer(), port=INTERNAL_PORT)
    assert inside.status == 200, "our own systems are not limited"


def test_other_servers_are_limited_by_origin(another: Callable[..., HAProxy]) -> None:
    router = another(limited())

    def send(origin: str) -> int:
        return router.ask(
            "PUT", "/_matrix/federation/v1/send/1", {"Authorization": f'X-Matrix origin="{origin}"'}
        ).status

    assert [send("a.org") for _ in range(12)] == [200] * 10 + [429] * 2
    assert send("b.org") == 200
