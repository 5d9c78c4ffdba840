"""PostgreSQL: whose connections fill max_connections, and what follows from an instance's memory."""

from collections.abc import Iterator

from components.postgres.parameters import CONNECTION_MEMORY, connection_ceiling
from components.postgres.plan import PostgresPlan, band
from components.synapse.processes import MAINTENANCE_CONNECTIONS
from kube.quantity import GI, MI, format_bytes
from stack.commands.explain_stores import Row
from stack.commands.table import count, table, wrap
from stack.plan import StackPlan


def _pooled(plan: PostgresPlan, total: int) -> tuple[list[tuple[str, ...]], int]:
    """With a pooler, processes fill its clients' side, and its own connections fill the server's."""
    if plan.pooler is None:
        return [], total
    mine = plan.pooler.settings
    held = mine.instances * mine.server_connections
    row = (
        "poolers",
        str(mine.instances),
        str(mine.server_connections),
        str(held),
        f"in place of those above ({mine.mode})",
    )
    return [row], held


def connections(plan: StackPlan) -> str:
    """The sum, term by term, and what it must stay below."""
    postgres = plan.postgres
    rows: list[tuple[str, ...]] = [
        (
            p.type.value,
            str(p.maximum),
            str(p.cp_max),
            str(p.connections),
            "the autoscaler's maximum" if p.autoscale else "",
        )
        for p in plan.processes
    ]
    rows.append(("maintenance", "", "", str(MAINTENANCE_CONNECTIONS), "checks before a start, clean-up of media"))
    total = plan.processes.connections
    rows.append(("all of Synapse", "", "", str(total), ""))
    poolers, held = _pooled(postgres, total)
    needed = held + postgres.reserved_connections
    rows += poolers
    rows.append(("reserved", "", "", str(postgres.reserved_connections), "operator, metrics, people"))
    rows.append(("needed", "", "", str(needed), f"of max_connections = {postgres.max_connections}"))
    given = plan.settings.postgres.max_connections is not None
    source = "postgres.max_connections" if given else f"band up to {band(plan.platform.concurrent_users).users:,}"
    head = wrap(
        f"max_connections is {postgres.max_connections} ({source}); {needed} are needed, "
        f"{postgres.max_connections - needed} are to spare for scaling: a change of max_connections restarts the "
        "instances one by one. A stack that needs more than there are is refused."
    )
    return f"{head}\n\n{table(('process', '>at most', '>cp_max', '>connections', ''), rows)}"


def numbers(plan: PostgresPlan) -> Iterator[Row]:
    """What follows from an instance's memory and its volumes."""
    memory = format_bytes(plan.resources.memory)
    parameters = plan.parameters
    yield (
        "postgres: instances",
        str(plan.instances),
        f"a commit waits for {count(plan.synchronous_standbys, 'standby', 'standbys')} of {plan.instances - 1}; "
        f"{count(plan.synchronous_standbys, 'instance')} may be lost and no commit with it",
    )
    yield "postgres: shared_buffers", parameters["shared_buffers"], f"a quarter of {memory}"
    yield "postgres: effective_cache_size", parameters["effective_cache_size"], f"seven tenths of {memory}"
    used = plan.max_connections * CONNECTION_MEMORY
    yield (
        "postgres: work_mem",
        parameters["work_mem"],
        f"half of what buffers and {plan.max_connections} × {CONNECTION_MEMORY // MI}Mi = {used / GI:.1f}Gi of "
        f"connections leave, divided by {plan.max_connections}; 4 to 64 MB",
    )
    yield (
        "postgres: most connections",
        str(connection_ceiling(plan.resources.memory_limit)),
        f"half of {format_bytes(plan.resources.memory_limit)}, {CONNECTION_MEMORY // MI}Mi each; more are refused",
    )
    yield "postgres: volumes", f"{format_bytes(plan.storage)} + {format_bytes(plan.wal)}", "data, and WAL on its own"
    yield (
        "postgres: max_slot_wal_keep_size",
        parameters["max_slot_wal_keep_size"],
        f"two fifths of the WAL volume of {format_bytes(plan.wal)}: a dead subscriber cannot fill the primary's disk",
    )
