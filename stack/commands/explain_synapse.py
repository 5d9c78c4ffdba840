"""Synapse's processes: how many, how large, with how many connections, and why."""

from components.synapse.caches import MAX_SHARE, caches, global_factor
from components.synapse.process_types import BANDS
from components.synapse.processes import Process
from components.synapse.settings import ProcessSettings
from kube.quantity import MI, format_bytes, format_cpu
from stack.commands.table import table, wrap
from stack.plan import StackPlan


def _given(plan: StackPlan, process: Process) -> ProcessSettings:
    given: ProcessSettings = getattr(plan.settings.synapse.workers, process.type.key)
    return given


def _size(process: Process) -> str:
    low, high = process.resources.memory, process.resources.memory_limit
    return format_bytes(low) if low == high else f"{format_bytes(low)}–{format_bytes(high)}"


def _autoscale(process: Process) -> str:
    scale = process.autoscale
    return f"to {scale.maximum} at {scale.cpu_percent} %" if scale else ""


def _count_from(plan: StackPlan, process: Process) -> str:
    if process.limited:
        return f"limit (band: {process.traits.counts[plan.processes.band]})"
    if process.traits.maximum == 1:
        return "always 1"
    if _given(plan, process).replicas is not None:
        return f"set (band: {process.traits.counts[plan.processes.band]})"
    return "band"


def _limits(plan: StackPlan) -> list[str]:
    """Why some types cannot have more, each reason once with all whom it concerns."""
    reasons: dict[str, list[str]] = {}
    for process in plan.processes:
        traits = process.traits
        if traits.maximum is not None and process.replicas >= traits.maximum:
            # Writers of streams have one and the same reason, each with its stream's name in it.
            reason = traits.why_maximum.replace(f" of {traits.stream}:", " of such a stream:")
            reasons.setdefault(reason, []).append(process.type.value)
    return [f"{', '.join(names)}: {reason}." for reason, names in reasons.items()]


def _overrides(plan: StackPlan, process: Process) -> list[str]:
    given, key = _given(plan, process), f"synapse.workers.{process.type.key}"
    return [f"{key}.{name}" for name in ("resources", "autoscale", "cp_max") if getattr(given, name) is not None]


def band_words(users: int, band: int) -> str:
    """`20,000 people: band up to 20,000 (bands: 1,000, 5,000, …)`."""
    ends = ", ".join(f"{end:,}" for end in BANDS)
    return f"concurrent_users {users:,} lies in the band up to {BANDS[band]:,} (bands end at {ends})."


def processes(plan: StackPlan) -> str:
    """Counts and sizes of every process type."""
    rows = []
    for process in plan.processes:
        mine = _overrides(plan, process)
        also = f" (set: {', '.join(mine)})" if mine else ""
        rows.append(
            (
                process.type.value,
                str(process.replicas),
                _count_from(plan, process),
                _autoscale(process),
                format_cpu(process.resources.cpu),
                _size(process),
                process.traits.what + also,
            )
        )
    head = wrap(
        f"{band_words(plan.platform.concurrent_users, plan.processes.band)} Counts and sizes come from its column of "
        "the table in components/synapse/process_types.py, unless the stack file sets them under synapse.workers. "
        "Autoscaled on CPU, in percent of the request. No CPU limit unless one is set: throttling costs latency."
    )
    shown = table(("process", ">count", "from", "autoscaled", ">CPU", ">memory", "what it does"), rows)
    limits = "\n".join(wrap(line, indent="  ") for line in _limits(plan))
    return f"{head}\n\n{shown}\n\nWhy not more of them:\n{limits}"


def memory(plan: StackPlan) -> str:
    """Cache sizes, which follow each process' memory limit."""
    limits: dict[int, list[str]] = {}
    for process in plan.processes:
        limits.setdefault(process.resources.memory_limit, []).append(process.type.value)
    rows = []
    for limit, names in sorted(limits.items(), reverse=True):
        tuning = caches(limit)["cache_autotuning"]
        rows.append(
            (
                format_bytes(limit),
                f"{global_factor(limit):g}",
                f"{tuning['max_cache_memory_usage'] // MI}Mi",
                f"{tuning['target_cache_memory_usage'] // MI}Mi",
                ", ".join(names),
            )
        )
    head = wrap(
        f"Synapse's caches follow the memory limit: evicted above {MAX_SHARE:.0%} of it, a factor of 1 for each GiB. "
        "What a process needs beside its caches stays free."
    )
    return f"{head}\n\n{table(('>limit', '>factor', '>evicts above', '>down to', 'processes'), rows)}"
