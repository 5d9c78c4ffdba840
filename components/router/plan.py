"""Every number and name of the router, decided."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.router.pools import FEDERATION_POOLS, POOLS, Pool, Traits
from components.router.settings import RateLimitSettings, RouterSettings
from kube.context import Platform
from kube.flows import Flow, Pods, Port
from kube.pod import Resources, Workload
from kube.quantity import MI

UID = 99
"""The user `haproxy` of the upstream image; any number would do."""

PUBLIC_PORT = 8008
"""Clients and, with federation on, other servers that come through port 443."""
FEDERATION_PORT = 8448
"""Other servers only. Bound with federation on."""
INTERNAL_PORT = 8009
"""Our own systems and administrators: all that the public listener has, and /_synapse/admin for allowed addresses."""
METRICS_PORT = 8405
HEALTH_PORT = 8406

SYNAPSE_PORT = 8008
SYNAPSE_HEALTH_PORT = 8080

MAX_REQUEST_BYTES = 200 * 65_536
"""Synapse's own bound for requests that are no uploads (200 events of the largest size)."""

CONNECTION_BYTES = 16 * 1024
"""Memory of one client connection with its connection to Synapse. An idle long poll was measured at 7 kB (it gives
its buffers back); the rest is for those that have data under way."""
BASE_BYTES = 96 * MI
"""HAProxy with maps, rate limit tables (100,000 entries each) and the checks, without a single connection."""


@dataclass(frozen=True, kw_only=True)
class PoolSource:
    """The pods behind a pool: one StatefulSet. The same StatefulSet may be behind several pools.

    `maximum` is the highest ordinal + 1 that can ever exist: the HPA's maximum, or the fixed count. `scales` is
    true where the number changes without a change of any other configuration (an HPA); the pool then has slots for
    the next power of two, so that a raised maximum usually changes no file and restarts no router.
    """

    statefulset: str
    headless: str
    maximum: int
    pods: Pods
    scales: bool = False

    @property
    def slots(self) -> int:
        return slots(self.maximum) if self.scales else self.maximum


def slots(maximum: int) -> int:
    """Slots for a pool that scales up to `maximum`: the power of two above it, one to spare for a surge.

    Unused slots cost a DNS question each second and nothing else: a name that does not exist is a server that is
    not there.
    """
    return 1 << maximum.bit_length()


@dataclass(frozen=True, slots=True)
class Server:
    """One slot of a pool. `id` is its place on the ring: it must never move, and differs from all others' here."""

    name: str
    host: str
    id: int


@dataclass(frozen=True, kw_only=True)
class RouterPool:
    """One backend. `tracks`: the pool with the same pods that does the health checks for both."""

    pool: Pool
    servers: tuple[Server, ...]
    pods: Pods
    tracks: Pool | None = None

    @property
    def traits(self) -> Traits:
        return POOLS[self.pool]


@dataclass(frozen=True, kw_only=True)
class WellKnown:
    """What /.well-known/matrix/ says. `client` and `support` are complete JSON documents; `server` is delegation.

    `server` (host:port) is served with federation on only. `support` may be empty: then it is 404.
    """

    client: Mapping[str, Any]
    server: str
    support: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RouterPlan:
    """The router: two or more identical HAProxy pods. See the package's docstring for how a request goes."""

    workload: Workload
    image: str
    server_name: str
    federation: bool
    pools: tuple[RouterPool, ...]
    max_upload_bytes: int
    max_connections: int
    threads: int
    trusted_proxies: tuple[str, ...]
    trusted_hops: int
    admin_clients: tuple[str, ...]
    limits: RateLimitSettings
    log_all: bool
    well_known: WellKnown
    drain_seconds: int
    cluster_domain: str
    pod_defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.workload.name

    @property
    def namespace(self) -> str:
        return self.workload.namespace

    @property
    def internal_name(self) -> str:
        """Service of the internal listener: a name of its own, so that the edge cannot reach it by accident."""
        return f"{self.name}-internal"

    def _url(self, service: str, port: int) -> str:
        return f"http://{service}.{self.namespace}.svc.{self.cluster_domain}:{port}"

    @property
    def url(self) -> str:
        """Where systems inside the cluster reach the client API, as any client would."""
        return self._url(self.name, PUBLIC_PORT)

    @property
    def internal_url(self) -> str:
        """The same and administration, without rate limits by address."""
        return self._url(self.internal_name, INTERNAL_PORT)

    @property
    def pods(self) -> Pods:
        return Pods.of(self.name, self.namespace, self.workload.selector)

    @property
    def workloads(self) -> tuple[Workload, ...]:
        return (self.workload,)

    def has(self, pool: Pool) -> bool:
        return any(p.pool is pool for p in self.pools)

    @property
    def flows(self) -> tuple[Flow, ...]:
        """Router to every process that answers requests; one flow for each kind of pods."""
        ports = (Port(SYNAPSE_PORT), Port(SYNAPSE_HEALTH_PORT))
        targets = {pool.pods: None for pool in self.pools}
        return tuple(
            Flow(source=self.pods, target=pods, ports=ports, why="requests and health checks") for pods in targets
        )

    def client(self, source: Any, why: str) -> Flow:
        """The flow of whoever uses the public listeners: the edge, our own services as clients."""
        ports = (Port(PUBLIC_PORT), Port(FEDERATION_PORT)) if self.federation else (Port(PUBLIC_PORT),)
        return Flow(source=source, target=self.pods, ports=ports, why=why)

    def internal_client(self, source: Any, why: str) -> Flow:
        """The flow of whoever uses the internal listener: administration, our own systems."""
        return Flow(source=source, target=self.pods, ports=(Port(INTERNAL_PORT),), why=why)

    def metrics_client(self, source: Any) -> Flow:
        return Flow(source=source, target=self.pods, ports=(Port(METRICS_PORT),), why="metrics")


def _pools(sources: Mapping[Pool, PoolSource], platform: Platform) -> Iterator[RouterPool]:
    checked: dict[str, Pool] = {}
    for pool in Pool:  # in one fixed order, whatever the order of `sources`
        source = sources.get(pool)
        if source is None:
            continue
        servers = tuple(
            Server(
                name=f"{source.statefulset}-{i}",
                host=platform.pod(source.statefulset, i, source.headless),
                id=i + 1,
            )
            for i in range(source.slots)
        )
        tracks = checked.get(source.statefulset)
        checked.setdefault(source.statefulset, pool)
        yield RouterPool(pool=pool, servers=servers, pods=source.pods, tracks=tracks)


def make_plan(
    settings: RouterSettings,
    platform: Platform,
    pools: Mapping[Pool, PoolSource],
    *,
    max_upload_bytes: int,
    well_known: WellKnown,
    name: str = "synapse-router",
) -> RouterPlan:
    """Decide the router. `pools` must have main; an endpoint whose pool is not there goes to main."""
    if Pool.MAIN not in pools:
        raise ValueError("the router needs the main process: what no worker serves goes there")
    if not platform.federation and (surplus := FEDERATION_POOLS & set(pools)):
        raise ValueError(f"federation is off, yet there are pools for it: {', '.join(sorted(surplus))}")
    # Each user online holds one long poll and makes one more request now and then; one replica must carry all.
    max_connections = 2_000 + 2 * platform.concurrent_users
    memory = BASE_BYTES + CONNECTION_BYTES * max_connections
    resources = (
        settings.resources.resolved()
        if settings.resources
        else Resources(cpu=250 * settings.threads, memory=memory, memory_limit=2 * memory)
    )
    return RouterPlan(
        workload=Workload(
            name=name,
            namespace=platform.namespace,
            component="router",
            pool="application",
            replicas=settings.replicas,
            resources=resources,
            uid=UID,
        ),
        image=platform.images.ref("haproxy"),
        server_name=platform.server_name,
        federation=platform.federation,
        pools=tuple(_pools(pools, platform)),
        max_upload_bytes=max_upload_bytes,
        max_connections=max_connections,
        threads=settings.threads,
        trusted_proxies=settings.trusted_proxies,
        trusted_hops=settings.trusted_hops,
        admin_clients=settings.admin_clients,
        limits=settings.limits,
        log_all=settings.log_all,
        well_known=well_known,
        drain_seconds=settings.drain_seconds,
        cluster_domain=platform.cluster_domain,
        pod_defaults=platform.pod_defaults,
    )
