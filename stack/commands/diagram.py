"""docs/architecture.svg: the systems as boxes, their processes as chips, and an arrow for every flow of the plan.

Where a box stands is written here; what is in it, and who talks to whom, comes out of the committed stacks' plans. A
process or a peer that has no box is an error, so the picture cannot silently lack a system.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from components.edge.plan import FEDERATION
from kube.flows import Addresses, Flow, Peer, Port
from kube.pod import Workload
from stack.plan import StackPlan, make_plan
from stack.settings import FederationSettings


class NoPlaceError(LookupError):
    """The plan has something that the picture has no box for."""


@dataclass(frozen=True, kw_only=True)
class System:
    """One box. `prefixes`: names of its workloads and peers begin so. The first system that fits takes it.

    `column` and `columns`: place in its row, of a grid of twelve.
    """

    key: str
    title: str
    subtitle: str
    row: int
    column: int
    columns: int
    prefixes: tuple[str, ...]
    pool: str | None = None


SYSTEMS: tuple[System, ...] = (
    System(
        key="clients",
        title="Clients",
        subtitle="Element and other Matrix clients",
        row=0,
        column=0,
        columns=5,
        prefixes=("clients",),
    ),
    System(
        key="servers",
        title="Other homeservers",
        subtitle="with federation on only",
        row=0,
        column=5,
        columns=5,
        prefixes=("other homeservers",),
    ),
    System(
        key="internet",
        title="Internet",
        subtitle="push gateways",
        row=0,
        column=10,
        columns=2,
        prefixes=("internet",),
    ),
    System(
        key="edge",
        title="Edge",
        subtitle="Gateway API or Ingress: TLS, host names to services",
        row=1,
        column=0,
        columns=9,
        prefixes=("gateway", "ingress", "edge", "envoy"),
        pool="application",
    ),
    System(
        key="router",
        title="Router",
        subtitle="HAProxy: one table of endpoints chooses the process",
        row=2,
        column=0,
        columns=9,
        prefixes=("synapse-router",),
        pool="application",
    ),
    System(
        key="synapse",
        title="Synapse",
        subtitle="one main process and its workers; every process has its own StatefulSet, config and size",
        row=3,
        column=0,
        columns=12,
        prefixes=("synapse",),
        pool="application",
    ),
    System(
        key="redis-synapse",
        title="Redis for Synapse",
        subtitle="Valkey, Sentinel, proxy to the primary",
        row=4,
        column=0,
        columns=3,
        prefixes=("redis-synapse",),
        pool="application",
    ),
    System(
        key="postgres",
        title="PostgreSQL",
        subtitle="CloudNativePG, synchronous replication",
        row=4,
        column=3,
        columns=3,
        prefixes=("postgres",),
        pool="database",
    ),
    System(
        key="minio",
        title="Object storage",
        subtitle="S3, erasure coded; media and backups",
        row=4,
        column=6,
        columns=3,
        prefixes=("minio",),
        pool="storage",
    ),
    System(
        key="redis-livekit",
        title="Redis for LiveKit",
        subtitle="waits for calls (next)",
        row=4,
        column=9,
        columns=3,
        prefixes=("redis-livekit",),
        pool="application",
    ),
    System(
        key="operators",
        title="Operators and the Kubernetes API",
        subtitle="operators are Helm releases of others; each can be switched off where the cluster has it",
        row=5,
        column=0,
        columns=12,
        prefixes=("operator", "CloudNativePG", "cert-manager", "Envoy Gateway", "MetalLB", "Kubernetes API"),
        pool="application",
    ),
)


def system_of(name: str) -> System:
    """Whose workload or peer this is."""
    for system in SYSTEMS:
        if any(name.startswith(prefix) for prefix in system.prefixes):
            return system
    raise NoPlaceError(f"{name!r} has no box in the picture; give it one in stack/commands/diagram.py")


def owner(work: Workload) -> System:
    """The system of a workload. Operators are known by their component, whatever they are called."""
    return system_of("operator" if work.component == "operator" else work.name)


# ---- what the picture says ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One kind of processes and its counts in the stacks. `dashed`: with federation on only."""

    name: str
    counts: tuple[str, ...]
    dashed: bool

    @property
    def label(self) -> str:
        return " · ".join(self.counts)


@dataclass(frozen=True, kw_only=True)
class Link:
    """All flows from one system to another, as one arrow. `dashed`: with federation on only."""

    source: System
    target: System
    ports: tuple[str, ...]
    why: str
    dashed: bool


def _count(works: Iterable[Workload]) -> str:
    found = list(works)
    low, high = sum(w.replicas for w in found), sum(w.peak_replicas for w in found)
    return str(low) if low == high else f"{low}–{high}"


def _kind(name: str) -> str:
    """Pools of equal servers are one kind: `minio-pool-2` -> `minio-pool`."""
    head, _, tail = name.rpartition("-")
    return head if tail.isdigit() else name


def chips(plans: Sequence[Sequence[Workload]], base: Iterable[Workload]) -> dict[str, list[Chip]]:
    """Chips by system. `base`: what is there with federation off."""
    always = {_kind(w.name) for w in base}
    kinds = {_kind(w.name): owner(w) for works in plans for w in works}
    result: dict[str, list[Chip]] = {}
    for kind, system in kinds.items():
        counts = tuple(_count(w for w in works if _kind(w.name) == kind) for works in plans)
        result.setdefault(system.key, []).append(Chip(name=kind, counts=counts, dashed=kind not in always))
    return result


def _system(peer: Peer) -> System:
    return system_of(peer.name)


def _ends(flow: Flow) -> tuple[System, System]:
    return _system(flow.source), _system(flow.target)


def flows_of(plan: StackPlan) -> list[Flow]:
    """The plan's flows. Into the edge with the ports that people know (443), not those of its pods."""
    public: dict[bool, list[Port]] = {True: [], False: []}
    for rule in plan.edge.firewall:
        public[rule.port == FEDERATION].append(Port(rule.port, rule.protocol))
    return [
        replace(flow, ports=tuple(public[flow.source.name != "clients"]))
        if isinstance(flow.source, Addresses) and flow.target == plan.edge.proxies
        else flow
        for flow in plan.flows
    ]


def links(flows: Iterable[Flow], base: Iterable[Flow]) -> list[Link]:
    """One arrow for each pair of systems that talk. Flows inside a box are not drawn."""
    always = {_ends(flow) for flow in base}
    grouped: dict[tuple[System, System], list[Flow]] = {}
    for flow in flows:
        source, target = _ends(flow)
        if source is not target:
            grouped.setdefault((source, target), []).append(flow)
    return [
        Link(
            source=source,
            target=target,
            ports=tuple(dict.fromkeys(str(p.number) for f in mine for p in f.ports)),
            why=mine[0].why,
            dashed=(source, target) not in always,
        )
        for (source, target), mine in grouped.items()
    ]


def with_federation(plan: StackPlan) -> StackPlan:
    """The same stack with federation on: the picture shows what that adds, dashed."""
    settings = plan.settings.model_copy(update={"federation": FederationSettings(enabled=True)})
    return make_plan(settings, plan.platform.stack)
