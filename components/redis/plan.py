"""Every number and name of one Redis instance, decided."""

from dataclasses import dataclass
from typing import Any

from components.redis.settings import RedisInstanceSettings
from kube.context import Platform
from kube.flows import Flow, Pods, Port
from kube.pod import Resources, Spread, Workload
from kube.quantity import MI
from kube.secrets import Join, Random, SecretObject, SecretRef

REDIS_PORT = 6379
SENTINEL_PORT = 26379
PROXY_METRICS_PORT = 8405
UID = 999  # the user `valkey` of the upstream image; any number would do, nothing is owned by it on disk

DOWN_AFTER_MS = 2500
"""Silence after which a Sentinel thinks the primary dead."""
FAILOVER_TIMEOUT_MS = 2500
"""Sentinels whose votes were split try again after twice this. 2.5 s + a split vote (5 s) + an election and a proxy
check (2 s) stay below the 10 s that we promise; with 10 s a split vote was measured to cost 15 s. A promotion takes
milliseconds here, because nothing is written to disk."""
CHECK_INTERVAL_MS = 1000
"""How often the proxy asks each Valkey for its role, and each Sentinel for its vote."""

SENTINEL = Resources(cpu=20, memory=32 * MI, memory_limit=64 * MI)
PROXY = Resources(cpu=100, memory=64 * MI, memory_limit=128 * MI)


@dataclass(frozen=True, kw_only=True)
class RedisPlan:
    """One Redis instance: `replicas` Valkey + Sentinel pods, and a proxy that always answers as the primary."""

    name: str
    namespace: str
    master_name: str
    servers: Workload
    proxy: Workload
    hosts: tuple[str, ...]
    quorum: int
    max_memory: int
    eviction: str
    image: str
    proxy_image: str
    cluster_domain: str
    auth: SecretObject
    pod_defaults: dict[str, Any]

    @property
    def headless(self) -> str:
        return f"{self.name}-nodes"

    @property
    def host(self) -> str:
        """Where a client that cannot speak Sentinel connects: always the primary."""
        return f"{self.name}.{self.namespace}.svc.{self.cluster_domain}"

    @property
    def password(self) -> SecretRef:
        return self.auth.ref("password")

    @property
    def sentinels(self) -> tuple[str, ...]:
        """host:port of every Sentinel, for clients that can speak it."""
        return tuple(f"{host}:{SENTINEL_PORT}" for host in self.hosts)

    @property
    def workloads(self) -> tuple[Workload, ...]:
        return (self.servers, self.proxy)

    @property
    def server_pods(self) -> Pods:
        return Pods.of(self.servers.name, self.namespace, self.servers.selector)

    @property
    def proxy_pods(self) -> Pods:
        return Pods.of(self.proxy.name, self.namespace, self.proxy.selector)

    @property
    def flows(self) -> tuple[Flow, ...]:
        both = (Port(REDIS_PORT), Port(SENTINEL_PORT))
        return (
            Flow(
                source=self.server_pods,
                target=self.server_pods,
                ports=both,
                why="replication, and Sentinels that watch the primary and each other",
            ),
            Flow(
                source=self.proxy_pods,
                target=self.server_pods,
                ports=both,
                why="client connections to the primary; asks for roles and votes",
            ),
        )

    def client(self, source: Pods, why: str) -> Flow:
        """The flow of a client that uses the proxy."""
        return Flow(source=source, target=self.proxy_pods, ports=(Port(REDIS_PORT),), why=why)

    def sentinel_client(self, source: Pods, why: str) -> Flow:
        """The flow of a client that speaks Sentinel and finds the primary itself."""
        return Flow(source=source, target=self.server_pods, ports=(Port(REDIS_PORT), Port(SENTINEL_PORT)), why=why)


def make_plan(purpose: str, settings: RedisInstanceSettings, platform: Platform, *, eviction: str) -> RedisPlan:
    """Decide one instance. `purpose`: `synapse` or `livekit`; `eviction`: Valkey's maxmemory-policy."""
    name = f"redis-{purpose}"
    resources = settings.resources.resolved()
    servers = Workload(
        name=name,
        namespace=platform.namespace,
        component="redis",
        pool="application",
        replicas=settings.replicas,
        resources=resources,
        sidecars=(SENTINEL,),
        spread=Spread.REQUIRE,
        uid=UID,
    )
    proxy = Workload(
        name=f"{name}-proxy",
        namespace=platform.namespace,
        component="redis-proxy",
        pool="application",
        replicas=settings.proxy_replicas,
        resources=PROXY,
        uid=99,
    )
    password = Random(id=f"{name}-password", length=48)
    headless = f"{name}-nodes"
    return RedisPlan(
        name=name,
        namespace=platform.namespace,
        master_name=purpose,
        servers=servers,
        proxy=proxy,
        hosts=tuple(platform.pod(name, i, headless) for i in range(settings.replicas)),
        quorum=settings.replicas // 2 + 1,
        max_memory=resources.memory_limit // 2,
        eviction=eviction,
        image=platform.images.ref("valkey"),
        proxy_image=platform.images.ref("haproxy"),
        cluster_domain=platform.cluster_domain,
        auth=SecretObject(
            name=name,
            namespace=platform.namespace,
            entries={
                "password": password,
                "server.conf": Join(parts=("requirepass ", password, "\nmasterauth ", password, "\n")),
                "sentinel.conf": Join(
                    parts=(
                        "requirepass ",
                        password,
                        "\nsentinel sentinel-pass ",
                        password,
                        f"\nsentinel auth-pass {purpose} ",
                        password,
                        "\n",
                    )
                ),
            },
        ),
        pod_defaults=platform.pod_defaults,
    )
