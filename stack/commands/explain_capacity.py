"""Which machines hold what, and how full they are with one node of each pool lost."""

from collections.abc import Sequence

from kube.pod import Spread, Workload
from kube.quantity import GI, format_cpu, parse_bytes
from stack.capacity import SYSTEM_CPU, SYSTEM_MEMORY, RoleCapacity, role_capacity
from stack.commands.table import percent, table, wrap
from stack.plan import StackPlan


def gib(size: int) -> str:
    """Bytes in GiB, with one decimal where it says something."""
    value = size / GI
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


def cores(millicores: int) -> str:
    """Millicores in vCPU."""
    value = millicores / 1000
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


def _machines(plan: StackPlan, role: str) -> str:
    pools = [(name, p) for name, p in plan.settings.node_pools.items() if p.role.value == role]
    return ", ".join(f"{name}: {p.count} × {p.cpu} vCPU {parse_bytes(p.memory) / GI:g}Gi" for name, p in pools)


def pools(plan: StackPlan) -> str:
    """Room and demand by role."""
    capacities = role_capacity(plan.settings.node_pools, plan.workloads)
    rows = [
        (
            c.role,
            str(c.nodes),
            str(c.pods),
            cores(c.cpu_demand),
            cores(c.cpu_after_loss),
            percent(c.cpu_fill),
            gib(c.memory_demand),
            gib(c.memory_after_loss),
            percent(c.memory_fill),
            _machines(plan, c.role),
        )
        for c in capacities
    ]
    header = (
        "role",
        ">nodes",
        ">pods",
        ">vCPU asked",
        ">there",
        ">full",
        ">GiB asked",
        ">there",
        ">full",
        "machines",
    )
    note = (
        "Asked: requests of all pods, autoscaled ones at their maximum. There: what is left with one node of each pool "
        f"lost, each node less {format_cpu(SYSTEM_CPU)} CPU and {SYSTEM_MEMORY / GI:g}Gi for kubelet, network and log "
        "collection. More asked than there is refused."
    )
    return f"{wrap(note)}\n\n{table(header, rows)}"


def _placement(work: Workload) -> str:
    return "each on a node of its own" if work.spread is Spread.REQUIRE else "spread where possible"


def _rows(works: Sequence[Workload], room: RoleCapacity) -> list[tuple[str, ...]]:
    return [
        (
            w.name,
            str(w.replicas) if w.peak_replicas == w.replicas else f"{w.replicas}–{w.peak_replicas}",
            format_cpu(w.cpu),
            f"{gib(w.memory)}",
            cores(w.cpu * w.peak_replicas),
            gib(w.memory * w.peak_replicas),
            percent(w.memory * w.peak_replicas / room.memory_after_loss) if room.memory_after_loss > 0 else "-",
            _placement(w) if w.peak_replicas > 1 else "",
        )
        for w in sorted(works, key=lambda w: (-w.memory * w.peak_replicas, w.name))
    ]


def workloads(plan: StackPlan) -> str:
    """Every workload by role, the largest first."""
    header = ("workload", ">pods", ">CPU each", ">GiB each", ">vCPU", ">GiB", ">of room", "placement")
    parts = []
    for room in role_capacity(plan.settings.node_pools, plan.workloads):
        works = [w for w in plan.workloads if w.pool == room.role]
        if works:
            parts.append(f"{room.role} ({_machines(plan, room.role)})\n{table(header, _rows(works, room))}")
        else:
            parts.append(f"{room.role} ({_machines(plan, room.role)})\n  nothing of ours yet")
    return "\n\n".join(parts)
