"""Numbers of the router and the stores that follow from others: from memory, from counts, from the users."""

from collections.abc import Iterator

from components.edge.plan import EdgePlan
from components.minio.plan import MinioPlan
from components.minio.settings import DRIVES, SERVERS
from components.redis.plan import RedisPlan
from components.router.plan import BASE_BYTES, CONNECTION_BYTES, RouterPlan
from components.synapse.processes import Processes
from kube.quantity import GI, MI, format_bytes, format_cpu
from stack.commands.table import count

Row = tuple[str, str, str]
"""What, its value, and where it comes from."""


def router(plan: RouterPlan, processes: Processes, users: int) -> Iterator[Row]:
    """Connections and their memory, and slots of the pools that scale."""
    base = plan.max_connections - 2 * users
    yield (
        "router: connections",
        f"{plan.max_connections:,}",
        f"{base:,} + 2 × {users:,} people: a long poll and now and then a request. In each of "
        f"{plan.workload.replicas} pods, since one must carry all when the other is lost",
    )
    need = BASE_BYTES + CONNECTION_BYTES * plan.max_connections
    memory = plan.workload.resources.memory
    formula = f"{BASE_BYTES // MI}Mi + {plan.max_connections:,} × {CONNECTION_BYTES // 1024}Ki = {need / MI:,.0f}Mi"
    source = formula if memory == need else f"synapse.router.resources; by the connections it would be {formula}"
    yield "router: memory", f"{memory / MI:,.0f}Mi", source
    maximum = {p.name: p.maximum for p in processes if p.traits.scales}
    for pool in plan.pools:
        last = pool.servers[-1].name
        process = last.rpartition("-")[0]
        if process in maximum and pool.tracks is None:
            yield (
                f"router: slots of {pool.pool.value}",
                str(len(pool.servers)),
                f"the power of two above {maximum[process]}; up to {last} no file changes and no router restarts",
            )


def edge(plan: EdgePlan, users: int) -> Iterator[Row]:
    """Address and connections of the way in."""
    yield "edge: address", plan.address or "not ours", "the lowest of edge.metallb.address_ranges; DNS leads here"
    if plan.proxy is None:
        return
    base = plan.proxy.connections - 2 * users
    yield (
        "edge: connections",
        f"{plan.proxy.connections:,}",
        f"{base:,} + 2 × {users:,} people, in each pod: one node answers for the address and carries all clients",
    )
    resources = plan.proxy.workload.resources
    yield (
        "edge: threads",
        str(plan.proxy.threads),
        f"two for each CPU of the {format_cpu(resources.cpu)} requested, at least 2; Envoy's own default is one for "
        "each core of the node",
    )


def redis(plan: RedisPlan) -> Iterator[Row]:
    """What may fill with data, and how many must agree."""
    limit = plan.servers.resources.memory_limit
    yield (
        f"{plan.name}: data",
        f"{plan.max_memory // MI}Mi",
        f"half of the limit of {format_bytes(limit)}; the rest is for clients that read slowly ({plan.eviction})",
    )
    replicas = plan.servers.replicas
    yield (
        f"{plan.name}: quorum",
        str(plan.quorum),
        f"more than half of {replicas} Sentinels; {count(replicas - plan.quorum, 'node')} may be lost",
    )


def minio(plan: MinioPlan) -> Iterator[Row]:
    """What fits, and what may be lost."""
    tenant = plan.tenant
    if tenant is None:
        yield ("object storage", "external", f"{plan.endpoint}; nothing of it runs here")
        return
    drives = SERVERS * DRIVES
    yield (
        "object storage: usable",
        f"{tenant.usable / GI:,.0f}Gi",
        f"{count(len(tenant.pools), 'pool')} × {tenant.read_quorum} of {drives} drives × "
        f"{format_bytes(tenant.drive_size)}: {tenant.parity} drives of each pool are parity (EC:{tenant.parity})",
    )
    yield (
        "object storage: may be lost",
        f"{tenant.servers_lost_writing} / {tenant.servers_lost_reading}",
        f"servers of each pool while it still writes / still reads: {tenant.write_quorum} and {tenant.read_quorum} of "
        f"{drives} drives must answer",
    )
