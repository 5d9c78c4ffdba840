"""`validate`: everything that is wrong with stack files, at once, before anything is touched."""

from collections.abc import Sequence

from kube.errors import StackError
from kube.quantity import GI, parse_bytes
from stack.commands.stacks import find, stack_names
from stack.commands.table import count
from stack.plan import StackPlan


def summary(plan: StackPlan) -> str:
    """One line: who it is for, on what, with how many pods."""
    pools = plan.settings.node_pools.values()
    nodes = sum(p.count for p in pools)
    memory = sum(p.count * parse_bytes(p.memory) for p in pools) // GI
    pods = sum(w.replicas for w in plan.workloads)
    peak = sum(w.peak_replicas for w in plan.workloads)
    grows = f" (autoscaled to {peak})" if peak > pods else ""
    return (
        f"{plan.platform.server_name}, up to {plan.platform.concurrent_users:,} people online; "
        f"{count(nodes, 'node')}, {sum(p.count * p.cpu for p in pools):,} vCPU, {memory:,} GiB; {pods} pods{grows}"
    )


def validate(names: Sequence[str]) -> int:
    """Check each; 1 when any is wrong. Without names: every stack file here."""
    names = names or stack_names()
    if not names:
        print("there is no Pulumi.<stack>.yaml here; name a file")
        return 1
    failed = False
    for name in names:
        try:
            source = find(name)
            print(f"{source.label}: ok: {summary(source.plan())}")
        except StackError as error:
            failed = True
            print("\n".join(error.lines()))
    return int(failed)
