"""What clients see when processes die, hang, or the router stops."""

import re
import signal
import threading
import time
from collections.abc import Callable

import pytest

from components.router.plan import HEALTH_PORT
from components.router.pools import POOLS, Pool
from tests.router.examples import plan
from tests.router.samples import ROUTED
from tests.tools.router.haproxy import HAProxy, Reply
from tests.tools.router.stubs import wait_for
from tests.tools.router.world import (
    TOKEN,
    World,
    bearer,
    has_cors,
    servers_up,
    settings,
    settle,
    sync_server,
    token_of,
)

pytestmark = pytest.mark.tools


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


def test_what_waits_too_long_for_a_busy_process_is_503_and_says_when_to_come_back(
    another: Callable[..., HAProxy],
) -> None:
    def narrow(text: str) -> str:
        text = re.sub(r"(server synapse-typing-0 .*)maxconn \d+", r"\1maxconn 1", text)
        return re.sub(r"timeout queue \d+s", "timeout queue 1s", text)

    router = another(plan("small", settings=settings()), edit=narrow)
    target = "/_matrix/client/v3/rooms/!a:b/typing/@a:b"
    busy = threading.Thread(target=lambda: router.ask("PUT", f"{target}?stub_sleep=4", bearer()))
    busy.start()
    time.sleep(0.5)
    start = time.monotonic()
    reply = router.ask("PUT", target, bearer())
    assert 0.5 < time.monotonic() - start < 3, "it waits for its turn, but not for long"
    assert (reply.status, reply.json["errcode"]) == (503, "M_UNKNOWN") and has_cors(reply)
    assert int(reply.headers["retry-after"]) * 1000 == reply.json["retry_after_ms"]
    busy.join()


def test_a_stopping_router_lets_requests_end(another: Callable[..., HAProxy]) -> None:
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
