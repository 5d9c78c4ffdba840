"""The router as it runs: a real HAProxy 3.0 with our files, and servers that answer with their own names."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.router.layout import Address
from components.router.plan import (
    FEDERATION_PORT,
    HEALTH_PORT,
    INTERNAL_PORT,
    MAX_REQUEST_BYTES,
    METRICS_PORT,
    PUBLIC_PORT,
    RouterPlan,
    Server,
)
from components.router.pools import FEDERATION_POOLS, POOLS, Choice, Pool
from components.router.responses import CORS, ERRORS
from components.router.settings import RateLimit, RateLimitSettings, RouterSettings
from tests.router.examples import MAX_UPLOAD_BYTES, SERVER_NAME, plan
from tests.router.samples import LEFT, ROUTED
from tests.tools.haproxy import HAProxy, Reply, check, free_ports, write_files
from tests.tools.stubs import Stubs, wait_for

pytestmark = pytest.mark.tools

LIVING = {
    "synchrotron": 4,
    "generic": 2,
    "media": 2,
    "sliding-sync": 2,
    "federation-inbound": 2,
    "federation-reader": 2,
}
"""Processes that exist, of pools that have more slots than that."""

TOKEN = "syt_YWxpY2U_abcdefghijklmnopqrst_0aBcDe"  # alice
FAST = RateLimitSettings(
    login=RateLimit(requests=100_000, seconds=10),
    token=RateLimit(requests=100_000, seconds=10),
    federation=RateLimit(requests=100_000, seconds=10),
)
LOOPBACK = ("127.0.0.0/8",)


def settings(**changes: object) -> RouterSettings:
    base: dict[str, object] = {
        "limits": FAST,
        "trusted_proxies": LOOPBACK,
        "admin_clients": LOOPBACK,
        "threads": 1,
        "log_all": True,
    }
    return RouterSettings.model_validate({**base, **changes})


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def token_of(user: str, device: int = 0) -> str:
    import base64

    localpart = base64.b64encode(user.encode()).decode().rstrip("=")
    return f"syt_{localpart}_random{device:014d}_0aBcDe"


class World:
    """Stubs for every living process of a plan, and the address function that leads to them."""

    def __init__(self, stubs: Stubs, router: RouterPlan) -> None:
        self.stubs = stubs
        self.nobody = free_ports(1)[0]
        for pool in router.pools:
            for server in pool.servers:
                group = server.name.rpartition("-")[0].removeprefix("synapse-")
                if int(server.name.rpartition("-")[2]) < LIVING.get(group, 99) and server.name not in stubs.by_name:
                    stubs.add(server.name)

    def address(self, server: Server) -> Address:
        stub = self.stubs.by_name.get(server.name)
        port = stub.port if stub else self.nobody
        return Address("127.0.0.1", port, port)


@pytest.fixture(scope="module")
def stubs() -> Iterator[Stubs]:
    with Stubs() as running:
        yield running


@pytest.fixture(scope="module")
def open_plan() -> RouterPlan:
    return plan("small", federation=True, settings=settings())


@pytest.fixture(scope="module")
def world(stubs: Stubs, open_plan: RouterPlan) -> World:
    return World(stubs, open_plan)


@pytest.fixture(scope="module")
def router(world: World, open_plan: RouterPlan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HAProxy]:
    """Federation on. Module-wide: no test may leave a stub stopped."""
    with HAProxy(open_plan, tmp_path_factory.mktemp("router"), world.address) as running:
        settle(running)
        yield running


@pytest.fixture(scope="module")
def closed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HAProxy]:
    """Federation off."""
    with HAProxy(plan("small", settings=settings()), tmp_path_factory.mktemp("closed"), world.address) as running:
        settle(running)
        yield running


@pytest.fixture
def another(world: World, tmp_path: Path) -> Iterator[Callable[..., HAProxy]]:
    """More routers for one test."""
    running: list[HAProxy] = []

    def start(router: RouterPlan, name: str = "another", **options: object) -> HAProxy:
        proxy = HAProxy(router, tmp_path / name, world.address, **options)  # type: ignore[arg-type]
        running.append(proxy)
        proxy.__enter__()
        settle(proxy)
        return proxy

    yield start
    for proxy in running:
        proxy.__exit__(None, None, None)


def settle(router: HAProxy) -> None:
    """Until slots without a process are known to be empty, and those with one to be up."""
    for pool in router.plan.pools:
        living = min(len(pool.servers), LIVING.get(group_of(pool.pool), 99))
        wait_for(lambda p=pool, n=living: servers_up(router, p.pool) == n, 15, f"{pool.pool} has {living} servers")


def servers_up(router: HAProxy, pool: str) -> int:
    metrics = router.ask("GET", "/metrics", port=METRICS_PORT).body.decode()
    values = re.findall(rf'^haproxy_backend_active_servers{{proxy="{pool}"}} (\d+)', metrics, re.M)
    return int(values[0])


def group_of(pool: Pool) -> str:
    """The stubs that serve a pool."""
    same = {
        Pool.INITIAL_SYNCHROTRON: "synchrotron",
        Pool.EVENT_CREATOR: "generic",
        Pool.PAGINATION: "generic",
        Pool.MEDIA_REPOSITORY: "media",
    }
    return same.get(pool, pool.value)


def backend_of(router: HAProxy, reply: Reply, method: str, path: str) -> str:
    """The backend of the last log line for a path: two pools can have the same processes."""
    wanted = f'"path": "{path}"'

    def lines() -> list[str]:
        return [line for line in router.log.splitlines() if wanted in line and f'"method": "{method}"' in line]

    wait_for(lines, 5, f"a log line for {path}")
    return str(json.loads(lines()[-1])["pool"])


# Every endpoint


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
    reply = router.ask("HEAD", "/_matrix/client/versions")
    assert reply.status == 200
    assert backend_of(router, reply, "HEAD", "/_matrix/client/versions") == "generic"


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


# Which worker


def sync_server(router: HAProxy, token: str) -> str:
    return router.ask("GET", "/_matrix/client/v3/sync?since=s1", bearer(token)).name


def test_all_devices_of_a_user_sync_with_one_worker_and_users_are_spread(router: HAProxy) -> None:
    users = [f"user{i}" for i in range(200)]
    chosen = {}
    for user in users:
        servers = {sync_server(router, token_of(user, device)) for device in range(3)}
        assert len(servers) == 1, f"{user}'s devices are on {servers}"
        chosen[user] = servers.pop()
    counts = Counter(chosen.values())
    assert len(counts) == LIVING["synchrotron"]
    assert max(counts.values()) < 2 * min(counts.values()), f"users are spread unevenly: {counts}"


def test_a_token_in_the_query_chooses_as_one_in_the_header(router: HAProxy) -> None:
    in_header = sync_server(router, TOKEN)
    in_query = router.ask("GET", f"/_matrix/client/v3/sync?since=s1&access_token={TOKEN}").name
    assert in_query == in_header


def test_a_token_of_another_form_stays_with_one_worker(router: HAProxy) -> None:
    assert len({sync_server(router, "mat_sometokenofanotherkind") for _ in range(20)}) == 1


def test_two_routers_agree_on_every_choice(router: HAProxy, another: Callable[..., HAProxy]) -> None:
    other = another(router.plan, "second")
    for i in range(100):
        token = token_of(f"user{i}")
        assert sync_server(router, token) == sync_server(other, token), f"user{i} depends on the router"
        target = f"/_matrix/client/v3/rooms/!room{i}:x/send/m.room.message/1"
        assert router.ask("PUT", target, bearer()).name == other.ask("PUT", target, bearer()).name
        origin = {"Authorization": f'X-Matrix origin="server{i}.example.org",key="a",sig="b"'}
        target = f"/_matrix/federation/v1/send/{i}"
        assert router.ask("PUT", target, origin).name == other.ask("PUT", target, origin).name


def test_more_synchrotrons_move_only_the_users_that_they_take(
    router: HAProxy, world: World, another: Callable[..., HAProxy]
) -> None:
    """Scaling inside the bucket: the same file, one more process."""
    users = [token_of(f"user{i}") for i in range(200)]
    before = {user: sync_server(router, user) for user in users}
    name = f"synapse-synchrotron-{LIVING['synchrotron']}"
    world.stubs.add(name)
    try:
        grown = HAProxy(router.plan, Path(router.layout.config_dir) / "grown", world.address)
        with grown:
            wait_for(lambda: servers_up(grown, "synchrotron") == LIVING["synchrotron"] + 1, 15, "the new one is seen")
            after = {user: sync_server(grown, user) for user in users}
    finally:
        world.stubs.by_name.pop(name).stop()
    moved = {user for user in users if before[user] != after[user]}
    assert all(after[user] == name for user in moved), "a user moved between workers that stayed"
    assert 0 < len(moved) < len(users) / 2


def test_requests_of_one_room_reach_one_worker_however_its_id_is_written(router: HAProxy) -> None:
    spread = Counter()
    for i in range(40):
        plain, escaped = f"!room{i}:x.org", f"%21room{i}%3Ax.org"
        targets = [
            ("PUT", f"/_matrix/client/v3/rooms/{plain}/send/m.room.message/1"),
            ("PUT", f"/_matrix/client/v3/rooms/{escaped}/send/m.room.message/2"),
            ("PUT", f"/_matrix/client/r0/rooms/{escaped}/state/m.room.topic/"),
            ("POST", f"/_matrix/client/api/v1/rooms/{escaped}/invite"),
            ("POST", f"/_matrix/client/v3/join/{escaped}"),
        ]
        names = {
            router.ask(method, target, bearer(token_of(f"u{j}"))).name for j, (method, target) in enumerate(targets)
        }
        assert len(names) == 1, f"room {plain} is on {names}"
        spread.update(names)
        pages = {
            router.ask("GET", f"/_matrix/client/v3/rooms/{room}/messages?dir=b", bearer(token_of(f"u{j}"))).name
            for j, room in enumerate((plain, escaped, plain))
        }
        assert len(pages) == 1, f"pages of {plain} come from {pages}"
    assert len(spread) == LIVING["generic"], "all rooms are on one worker"


def test_rooms_are_created_on_all_workers(router: HAProxy) -> None:
    names = {router.ask("POST", "/_matrix/client/v3/createRoom", bearer(token_of(f"u{i}"))).name for i in range(40)}
    assert len(names) == LIVING["generic"]


@pytest.mark.parametrize(
    "header",
    [
        'X-Matrix origin="{}",destination="us",key="ed25519:a",sig="x"',
        "X-Matrix origin={},destination=us,key=ed25519:a,sig=x",
        'X-Matrix destination="us",origin="{}",key="ed25519:a",sig="x"',
        'x-matrix key="ed25519:a", sig="x", origin="{}"',
    ],
)
def test_transactions_of_one_server_reach_one_worker(router: HAProxy, header: str) -> None:
    usual = 'X-Matrix origin="{}",key="ed25519:b",sig="y"'
    spread = set()
    for i in range(20):
        server = f"s{i}.example.org"
        names = {
            router.ask("PUT", f"/_matrix/federation/v1/send/{n}", {"Authorization": form.format(server)}).name
            for n in range(2)
            for form in (header, usual)
        }
        assert len(names) == 1, f"{server} is on {names}"
        spread |= names
    assert len(spread) == LIVING["federation-inbound"]


def test_a_file_is_asked_of_one_worker_by_every_path(router: HAProxy) -> None:
    spread = set()
    for i in range(30):
        names = {
            router.ask("GET", target.format(f"media{i}"), bearer()).name
            for target in (
                "/_matrix/client/v1/media/download/x.org/{}",
                "/_matrix/client/v1/media/thumbnail/x.org/{}?width=96&height=96",
                "/_matrix/client/v1/media/download/x.org/{}/name.png",
                "/_matrix/media/v3/download/x.org/{}",
                "/_matrix/federation/v1/media/download/{}",
            )
        }
        assert len(names) == 1, f"media{i} is on {names}"
        spread |= names
    assert len(spread) == LIVING["media"]
    assert len({router.ask("POST", "/_matrix/media/v3/upload", bearer()).name for _ in range(8)}) == LIVING["media"]


# Initial syncs


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
    path = target.partition("?")[0]
    assert backend_of(router, router.ask("GET", target, bearer()), "GET", path) == pool


# What is closed


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


# What the router says itself


def has_cors(reply: Reply) -> bool:
    return all(reply.headers.get(name.lower()) == value for name, value in CORS.items())


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


# Rate limits


def limited(login: int = 5, token: int = 20, **more: object) -> RouterPlan:
    limits = RateLimitSettings.model_validate(
        {
            "login": {"requests": login, "seconds": 60},
            "token": {"requests": token, "seconds": 10},
            "federation": {"requests": 10, "seconds": 10},
            **more,
        }
    )
    return plan("small", federation=True, settings=settings(limits=limits))


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


# Whose request it is


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


# Failures


def test_a_lost_worker_costs_no_get_and_its_users_go_on_within_a_second(router: HAProxy, world: World) -> None:
    victim = sync_server(router, TOKEN)
    world.stubs.by_name[victim].stop()
    try:
        start = time.monotonic()
        second = sync_server(router, TOKEN)
        assert second != victim and second.startswith("synapse-synchrotron")
        assert time.monotonic() - start < 1, "the first request after the loss took too long"
        for i in range(50):
            assert sync_server(router, token_of(f"user{i}")) != victim
    finally:
        world.stubs.by_name[victim].start()
    wait_for(lambda: sync_server(router, TOKEN) == victim, 30, "the user comes back to the worker")


def test_a_waiting_sync_of_a_lost_worker_ends_at_once_and_in_json(router: HAProxy, world: World) -> None:
    import threading

    victim = sync_server(router, TOKEN)
    replies: list[Reply] = []

    def ask() -> None:
        replies.append(router.ask("GET", "/_matrix/client/v3/sync?since=s1&stub_sleep=10", bearer()))

    waiting = threading.Thread(target=ask)
    waiting.start()
    time.sleep(0.5)
    start = time.monotonic()
    world.stubs.by_name[victim].stop()
    try:
        waiting.join()
        assert time.monotonic() - start < 1
        assert (replies[0].status, replies[0].json["errcode"]) == (502, "M_UNKNOWN") and has_cors(replies[0])
    finally:
        world.stubs.by_name[victim].start()
        settle(router)


def test_pools_that_are_down_fall_back_to_main_where_main_can(another: Callable[..., HAProxy], world: World) -> None:
    router = another(plan("small", federation=True, settings=settings()))
    alive = [stub for stub in world.stubs.by_name.values() if stub.name != "synapse-main-0"]
    for stub in alive:
        stub.stop()
    try:
        others = [p.pool for p in router.plan.pools if p.pool is not Pool.MAIN]
        seconds = wait_for(lambda: not any(servers_up(router, pool) for pool in others), 10, "all pools are seen down")
        assert seconds < 3, f"it took {seconds} s to see that all workers are gone"
        wrong = []
        for method, path, row in ROUTED:
            if path.startswith("/_synapse/admin"):
                continue
            reply = router.ask(method, path, bearer())
            if POOLS[row.pool].fallback:
                if reply.status != 200 or reply.pool != "main":
                    wrong.append(f"{method} {path}: {reply.status} {reply.body!r}")
            elif reply.status != 503 or reply.json["errcode"] != "M_UNKNOWN" or "retry-after" not in reply.headers:
                wrong.append(f"{method} {path}: {reply.status} {reply.body!r}")
        assert not wrong, "\n".join(wrong)
        assert router.ask("GET", "/ready", port=HEALTH_PORT).status == 200
        main = world.stubs.by_name["synapse-main-0"]
        main.stop()
        try:
            for path in ("/_matrix/client/versions", "/_matrix/client/v3/sync", "/_matrix/client/v3/login"):
                reply = router.ask("GET", path, bearer())
                assert (reply.status, reply.json["errcode"]) == (503, "M_UNKNOWN"), path
                assert int(reply.headers["retry-after"]) * 1000 == reply.json["retry_after_ms"] and has_cors(reply)
            wait_for(
                lambda: router.ask("GET", "/startup", port=HEALTH_PORT).status == 503, 10, "not started without main"
            )
            assert router.ask("GET", "/ready", port=HEALTH_PORT).status == 200, "an error in JSON is better than none"
            assert router.ask("GET", "/.well-known/matrix/client").status == 200
        finally:
            main.start()
    finally:
        for stub in alive:
            stub.start()
    settle(router)
    assert router.ask("GET", "/_matrix/client/versions").pool == "generic", "workers are used again"


def test_what_has_reached_a_process_is_never_sent_again(router: HAProxy, world: World) -> None:
    settle(router)
    stub = world.stubs.by_name["synapse-presence-0"]
    for method in ("PUT", "GET"):
        before = stub.requests
        reply = router.ask(method, "/_matrix/client/v3/presence/@a:b/status?stub_break=1", bearer())
        assert reply.status == 502 and has_cors(reply)
        assert stub.requests == before + 1, f"a {method} was sent twice"


def test_a_user_with_heavy_requests_does_not_pin_a_worker(router: HAProxy) -> None:
    """Bounded load: what is over the factor goes on along the ring."""
    import threading

    names: list[str] = []
    target = "/_matrix/client/v3/sync?since=s1&stub_sleep=2"

    def ask() -> None:
        names.append(router.ask("GET", target, bearer()).name)

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) > 1, "one token pinned one worker"


def test_a_stopping_router_lets_requests_end(another: Callable[..., HAProxy]) -> None:
    import signal
    import threading

    router = another(plan("small", settings=settings()))
    replies: list[Reply] = []

    def ask() -> None:
        replies.append(router.ask("GET", "/_matrix/client/v3/sync?since=s1&stub_sleep=2", bearer()))

    waiting = threading.Thread(target=ask)
    waiting.start()
    time.sleep(0.5)
    assert router.process is not None
    router.process.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    with pytest.raises(ConnectionRefusedError):
        router.ask("GET", "/ready", port=HEALTH_PORT)
    waiting.join()
    assert replies and replies[0].status == 200, "the request that was running has been cut"
    wait_for(lambda: router.process is not None and router.process.poll() is not None, 20, "the router ends")


# The configuration itself


@pytest.mark.parametrize("size", ["small", "medium", "large"])
@pytest.mark.parametrize("federation", [False, True])
def test_haproxy_accepts_every_rendered_configuration_without_a_warning(
    tmp_path: Path, size: str, federation: bool
) -> None:
    from components.router.layout import Layout

    layout = Layout(config_dir=str(tmp_path), errors_dir=str(tmp_path))
    assert check(write_files(plan(size, federation=federation), layout)) == ""


def test_every_pool_and_choice_is_in_the_example_plan(open_plan: RouterPlan) -> None:
    """Or the tests above would be about less than they say."""
    assert {pool.pool for pool in open_plan.pools} == set(Pool)
    assert {pool.traits.choice for pool in open_plan.pools} == set(Choice)
