"""The generated tables of README.md and docs/, each as Markdown. Names are what `<!-- generated: NAME -->` calls."""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from kube.flows import Port
from kube.quantity import GI, format_bytes, format_cpu, parse_bytes
from stack.commands.against import report
from stack.commands.diagram import flows_of, with_federation
from stack.commands.images import artefacts
from stack.commands.settings_reference import settings_reference
from stack.commands.stacks import REFERENCE, Source, find
from stack.load import ROOT
from stack.plan import StackPlan


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; `>` before a header aligns its column to the right."""
    marks = ["---:" if name.startswith(">") else "---" for name in header]
    names = [name.removeprefix(">") for name in header]
    lines = [names, marks, *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


@cache
def plans() -> dict[str, StackPlan]:
    """The reference stacks, planned."""
    return {name: find(name).plan() for name in REFERENCE}


def _machines(plan: StackPlan, role: str) -> str:
    pools = [p for p in plan.settings.node_pools.values() if p.role.value == role]
    return ", ".join(
        f"{p.count} × {p.cpu} vCPU {parse_bytes(p.memory) / GI:g} GiB" + (f", {p.disk}B" if p.disk else "")
        for p in pools
    )


def _memory(plan: StackPlan) -> int:
    return sum(p.count * parse_bytes(p.memory) for p in plan.settings.node_pools.values())


def _pods(plan: StackPlan) -> str:
    now, peak = (sum(getattr(w, f) for w in plan.workloads) for f in ("replicas", "peak_replicas"))
    return str(now) if now == peak else f"{now}, autoscaled to {peak}"


def stacks() -> str:
    """What the reference stacks promise, and on what."""
    found = plans()
    roles = dict.fromkeys(p.role.value for plan in found.values() for p in plan.settings.node_pools.values())
    rows: list[list[str]] = [["people online at once", *(f"{p.platform.concurrent_users:,}" for p in found.values())]]
    rows += [[f"{role} nodes", *(_machines(p, role) for p in found.values())] for role in roles]
    pools = [list(p.settings.node_pools.values()) for p in found.values()]
    rows += [
        ["machines", *(str(sum(p.count for p in mine)) for mine in pools)],
        ["vCPU", *(f"{sum(p.count * p.cpu for p in mine):,}" for mine in pools)],
        ["memory", *(f"{_memory(plan) // GI:,} GiB" for plan in found.values())],
        ["pods", *(_pods(plan) for plan in found.values())],
    ]
    return markdown(["", *(f"`{name}`" for name in found)], rows)


def images() -> str:
    """The lock file, as published."""
    rows = [(a.kind, a.name, f"`{a.source}`", a.used_by) for a in artefacts(None)]
    return markdown(("", "name", "reference", "used by"), rows)


def processes() -> str:
    """Synapse's processes at every scale, those of federation included."""
    found = {name: with_federation(plan).processes for name, plan in plans().items()}
    rows = []
    for process in next(reversed(found.values())):
        cells = []
        for mine in found.values():
            here = mine[process.type]
            scale = f"–{here.maximum}" if here.autoscale else ""
            size = f"{format_cpu(here.resources.cpu)}, {format_bytes(here.resources.memory)}"
            cells.append(f"{here.replicas}{scale} × {size}")
        rows.append((f"`synapse-{process.type.value}`", *cells, process.traits.what))
    return markdown(("process", *(f"`{name}`" for name in found), "what it does"), rows)


def flows() -> str:
    """Who talks to whom, with federation on. Targets that are reached alike share a row."""
    plan = with_federation(next(reversed(plans().values())))
    targets: dict[tuple[str, str, str], list[str]] = {}
    for flow in flows_of(plan):
        key = (flow.source.name, ", ".join(_port(p) for p in flow.ports), flow.why)
        targets.setdefault(key, []).append(flow.target.name)
    rows = sorted((source, ", ".join(sorted(names)), ports, why) for (source, ports, why), names in targets.items())
    return markdown(("from", "to", "ports", "why"), rows)


def _port(port: Port) -> str:
    number = f"{port.number}–{port.end}" if port.end else str(port.number)
    return number if port.protocol == "TCP" else f"{number}/{port.protocol.lower()}"


@cache
def example() -> str:
    """What `explain --against` tells of an edit that everybody makes: more synchrotrons."""
    new = find("large")
    old = Source(label=f"HEAD:{new.label}", stack=new.stack, text=new.text)
    edit = "    synapse: { workers: { synchrotron: { replicas: 20 } } }\n"
    text, _ = report(old, Source(label=new.label, stack=new.stack, text=f"{new.text}{edit}"))
    return f"```\n{text}\n```"


def adr() -> str:
    """Index of the decisions, by their headings."""
    rows = []
    for path in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        rows.append(f"- [{title}]({path.name})")
    return "\n".join(rows)


def make() -> str:
    """Targets of the Makefile, with what each says of itself."""
    found = re.findall(r"^([a-z-]+):.*?## (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    rows = [(f"`make {name}`", words.replace("$$", "$")) for name, words in found]
    return markdown(("command", "what it does"), rows)


def _docstring(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def map_of_repository() -> str:
    """Every package with the first sentences of its docstring."""
    rows = []
    for path in sorted(ROOT.glob("*/__init__.py")) + sorted(ROOT.glob("components/*/__init__.py")):
        where = path.parent.relative_to(ROOT)
        if words := _docstring(path):
            rows.append((f"[`{where}/`]({where})", words))
    rows.sort()
    return markdown(("where", "what"), rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "adr": adr,
    "example": example,
    "flows": flows,
    "images": images,
    "make": make,
    "map": map_of_repository,
    "processes": processes,
    "settings": settings_reference,
    "stacks": stacks,
}
"""What the markers in README.md and docs/ may name."""
