"""Pods come, go and move: the router finds them by name, with the very names and slots that a cluster has."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.router.layout import Address
from components.router.plan import Server
from components.router.pools import Pool
from tests.router.examples import plan
from tests.tools.router.haproxy import HAProxy, Reply, free_ports
from tests.tools.router.names import Names
from tests.tools.router.stubs import Stubs, wait_for
from tests.tools.router.world import LIVING, bearer, group_of, servers_up, settings, sync_server, token_of

pytestmark = pytest.mark.tools


class Cluster:
    """Pods with addresses of their own (127.0.1.x, all on one port), named as StatefulSets name them."""

    def __init__(self, stubs: Stubs) -> None:
        self.stubs = stubs
        self.names, self.nameserver = Names.start(stubs)
        self.port = free_ports(1)[0]
        self._next = 1

    def start(self, pod: str, host: str) -> str:
        """Start a pod under its name; its address is new each time."""
        address = f"127.0.1.{self._next}"
        self._next += 1
        self.stubs.add(pod, address, self.port)
        self.names.records[host] = address
        return address


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Stubs() as stubs:
        yield Cluster(stubs)


@pytest.fixture
def router(cluster: Cluster, tmp_path: Path) -> Iterator[HAProxy]:
    router = plan("small", settings=settings())
    for pool in router.pools:
        for server in pool.servers:
            living = LIVING.get(group_of(pool.pool), 99)
            if int(server.name.rpartition("-")[2]) < living and server.host not in cluster.names.records:
                cluster.start(server.name, server.host)

    def address(server: Server) -> Address:
        return Address(server.host, cluster.port, cluster.port)

    with HAProxy(router, tmp_path, address, nameservers=(cluster.nameserver,)) as running:
        yield running


def host_of(router: HAProxy, pod: str) -> str:
    return next(s.host for pool in router.plan.pools for s in pool.servers if s.name == pod)


USERS = [token_of(f"user{i}") for i in range(60)]


def test_pods_are_used_as_soon_as_the_router_says_that_it_is_ready(router: HAProxy, cluster: Cluster) -> None:
    """The startup gate: before names are known, every pool looks empty, and requests would pile up on main."""
    for user in USERS:
        assert sync_server(router, user).startswith("synapse-synchrotron-")
    assert router.ask("POST", "/_matrix/media/v3/upload", bearer()).pool == "media"
    slots = {server.host for pool in router.plan.pools for server in pool.servers}
    wait_for(lambda: cluster.names.asked >= slots, 10, "every slot's name is asked for")
    wait_for(lambda: servers_up(router, Pool.SYNCHROTRON) == LIVING["synchrotron"], 10, "slots without a pod are empty")


def test_a_new_pod_gets_users_without_a_new_file(router: HAProxy, cluster: Cluster) -> None:
    before = {user: sync_server(router, user) for user in USERS}
    pod = f"synapse-synchrotron-{LIVING['synchrotron']}"
    cluster.start(pod, host_of(router, pod))
    wait_for(lambda: any(sync_server(router, user) == pod for user in USERS), 15, "the new pod is used")
    for user in USERS:
        assert sync_server(router, user) in (before[user], pod), "a user moved between pods that stayed"


def test_a_pod_that_restarts_elsewhere_gets_its_users_back(router: HAProxy, cluster: Cluster) -> None:
    before = {user: sync_server(router, user) for user in USERS}
    pod = before[USERS[0]]
    cluster.stubs.by_name[pod].stop()
    assert sync_server(router, USERS[0]) != pod
    cluster.start(pod, host_of(router, pod))  # another address
    settled = lambda: {user: sync_server(router, user) for user in USERS} == before  # noqa: E731
    seconds = wait_for(settled, 45, "all users are where they were")
    assert seconds < 40


def test_a_pod_that_leaves_the_names_gets_nothing_new_and_ends_what_it_has(
    router: HAProxy,
    cluster: Cluster,
) -> None:
    """How Synapse's own pods drain: out of the DNS first, then, some seconds later, the signal."""
    user = USERS[0]
    pod = sync_server(router, user)
    replies: list[Reply] = []

    def poll() -> None:
        replies.append(router.ask("GET", "/_matrix/client/v3/sync?since=s1&stub_sleep=10", bearer(user)))

    waiting = threading.Thread(target=poll)
    waiting.start()
    time.sleep(0.5)
    del cluster.names.records[host_of(router, pod)]
    seconds = wait_for(lambda: sync_server(router, user) != pod, 10, "the pod gets nothing new")
    assert seconds < 8, f"{seconds} s: Synapse's pods wait 15 s, of which the cluster's DNS may take 5"
    waiting.join()
    assert replies and replies[0].status == 200 and replies[0].name == pod, "a running request has been cut"


def test_an_outage_of_the_name_server_empties_no_pool(router: HAProxy, cluster: Cluster) -> None:
    before = {user: sync_server(router, user) for user in USERS}
    cluster.names.broken = True
    time.sleep(8)  # longer than any other hold time
    assert {user: sync_server(router, user) for user in USERS} == before
