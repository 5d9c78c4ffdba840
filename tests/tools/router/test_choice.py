"""Which worker of a pool: the same one for the same user, room, server or file, whichever router is asked."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.router.haproxy import HAProxy
from tests.tools.router.stubs import wait_for
from tests.tools.router.world import (
    LIVING,
    TOKEN,
    World,
    bearer,
    servers_up,
    sync_server,
    token_of,
)

pytestmark = pytest.mark.tools


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
