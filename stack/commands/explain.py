"""`explain <stack>`: why each number is what it is. Everything printed here is read from the plan or recomputed."""

from collections.abc import Iterator

from stack.commands import explain_capacity, explain_postgres, explain_stores, explain_synapse
from stack.commands.stacks import find
from stack.commands.table import table, wrap
from stack.commands.validate import summary
from stack.plan import StackPlan


def sections(plan: StackPlan) -> Iterator[tuple[str, str]]:
    """Title and text, in the order in which one decides: machines, processes, what follows from them."""
    yield "Node pools", explain_capacity.pools(plan)
    yield "What runs on them", explain_capacity.workloads(plan)
    yield "Synapse's processes", explain_synapse.processes(plan)
    yield "PostgreSQL's connections", explain_postgres.connections(plan)
    yield "Caches from memory", explain_synapse.memory(plan)
    yield "Other numbers that follow", table(("what", ">value", "from"), _derived(plan))


def _derived(plan: StackPlan) -> list[explain_stores.Row]:
    return [
        *explain_postgres.numbers(plan.postgres),
        *explain_stores.edge(plan.edge, plan.platform.concurrent_users),
        *explain_stores.router(plan.synapse.router, plan.processes, plan.platform.concurrent_users),
        *explain_stores.redis(plan.redis_synapse),
        *explain_stores.redis(plan.redis_livekit),
        *explain_stores.minio(plan.minio),
    ]


def explanation(plan: StackPlan) -> str:
    """The whole text."""
    head = f"{plan.platform.stack}: {summary(plan)}"
    parts = [wrap(head)]
    parts += [f"{title}\n{'=' * len(title)}\n{text}" for title, text in sections(plan)]
    return "\n\n".join(parts)


def explain(stack: str) -> int:
    """Print it; StackError when the stack cannot be planned."""
    print(explanation(find(stack).plan()))
    return 0
