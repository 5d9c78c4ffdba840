"""Processes behind a router under test, and what tests ask of both."""

import base64
import json
import re

from components.router.layout import Address
from components.router.plan import METRICS_PORT, RouterPlan, Server
from components.router.pools import Pool
from components.router.responses import CORS
from components.router.settings import RateLimit, RateLimitSettings, RouterSettings
from tests.router.examples import plan
from tests.tools.router.haproxy import HAProxy, Reply, free_ports
from tests.tools.router.stubs import Stubs, wait_for

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


def backend_of(router: HAProxy, method: str, target: str) -> str:
    """Ask, and read in the log which backend it was: two pools can have the same processes."""
    wanted = f'"method": "{method}", "path": "{target.partition("?")[0]}"'

    def lines() -> list[str]:
        return [line for line in router.log.splitlines() if wanted in line]

    before = len(lines())
    assert router.ask(method, target, bearer()).status == 200
    wait_for(lambda: len(lines()) > before, 5, f"a log line for {target}")
    return str(json.loads(lines()[-1])["pool"])


def has_cors(reply: Reply) -> bool:
    return all(reply.headers.get(name.lower()) == value for name, value in CORS.items())


def sync_server(router: HAProxy, token: str) -> str:
    return router.ask("GET", "/_matrix/client/v3/sync?since=s1", bearer(token)).name


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
