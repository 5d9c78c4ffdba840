"""`explain <stack> --against <revision|file>`: what an edit does to a running stack, before it is made.

Both versions of the stack file are planned and recorded by the code of this checkout, and the two recordings are
compared by the provider's own rules (stack/diff.py). Nothing is asked of a cluster or of a state.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from kube.pod import Workload
from kube.quantity import GI, format_cpu
from stack.commands.stacks import Source, find, other_version
from stack.commands.table import count, table, wrap
from stack.diff import Change, Effects, differences, effects, short
from stack.guards import guards
from stack.plan import StackPlan
from stack.record import record
from stack.resources import Recording

FIELDS_SHOWN = 4

_OPERATED = ("postgresql.cnpg.io/", "gateway.envoyproxy.io/")
"""API groups whose operators run pods of the platform: what changes here, they carry out, by restarts if need be."""


def _dig(value: Any, path: str) -> Any:
    """What stands at a path of `differences`; None where it is not there."""
    for part in path.replace("[", ".[").split("."):
        if part.startswith("["):
            index = part.strip("[]")
            named = {str(item.get("name")): item for item in value or () if isinstance(item, Mapping)}
            value = named.get(index) if index in named else _item(value, index)
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _item(value: Any, index: str) -> Any:
    return value[int(index)] if isinstance(value, list) and index.isdigit() and int(index) < len(value) else None


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    return str(value).lower() if isinstance(value, bool) else str(value)


def edits(old: StackPlan, new: StackPlan) -> list[tuple[str, str, str]]:
    """Settings that differ: key path, before, after. Secrets are only known to be there, and never differ here."""
    before, after = (plan.settings.model_dump(mode="json") for plan in (old, new))
    paths = dict.fromkeys(differences(before, after))
    return [(path, _shown(_dig(before, path)), _shown(_dig(after, path))) for path in paths]


def _lines(changes: Sequence[Change]) -> str:
    """One row for all objects in which the same fields differ."""
    groups: dict[tuple[str, str], dict[str, list[str]]] = {}
    for change in changes:
        # The name of a config file's object follows from its content: it says nothing of its own.
        fields = [short(field) for field in change.fields if change.kind != "ConfigMap" or field != "metadata.name"]
        more = f" and {len(fields) - FIELDS_SHOWN} more" if len(fields) > FIELDS_SHOWN else ""
        group = groups.setdefault((change.kind, ", ".join(fields[:FIELDS_SHOWN]) + more), {})
        group.setdefault(change.namespace, []).append(change.name)
    rows = []
    for (kind, fields_text), names in groups.items():
        told = "; ".join(f"{space}: {', '.join(mine)}" if space else ", ".join(mine) for space, mine in names.items())
        rows.append((kind, told, fields_text))
    told_fields = any(row[2] for row in rows)
    return "\n".join(
        wrap(f"{kind} {names}", indent="  ") + (f"\n{wrap(fields_text, indent='      ')}" if told_fields else "")
        for kind, names, fields_text in rows
    )


def _size(work: Workload) -> str:
    count_ = str(work.replicas) if work.peak_replicas == work.replicas else f"{work.replicas}–{work.peak_replicas}"
    return f"{count_} × {format_cpu(work.cpu)} CPU, {work.memory / GI:.3g}Gi"


def decided(old: StackPlan, new: StackPlan) -> list[tuple[str, str, str]]:
    """Workloads whose number or size the plan decides otherwise: name, before, after."""
    before, after = ({w.name: _size(w) for w in plan.workloads} for plan in (old, new))
    names = dict.fromkeys((*before, *after))
    return [
        (n, before.get(n, "none"), after.get(n, "none")) for n in names if before.get(n, "none") != after.get(n, "none")
    ]


def _protection(old: Recording, new: Recording) -> str:
    """Protected resources that the edit leaves without protection: the edit after it could delete them."""
    lifted = [
        str(r) for urn, r in old.by_urn.items() if r.protect and urn in new.by_urn and not new.by_urn[urn].protect
    ]
    return "\n".join(wrap(words, indent="  ") for words in lifted)


def _refused(changes: Sequence[Change], plan: StackPlan) -> str:
    """Why the engine stops, and what to do, for each."""
    known = {guard.resource_name: guard for guard in guards(plan)}
    told = []
    for change in changes:
        guard = known.get(change.name)
        if guard:
            words = (
                f"{guard.key}: {guard.consequence}. Whoever means it writes `safety: {{confirm: [{guard.key}]}}` for "
                "one run, and takes it out again."
            )
        else:
            words = (
                f"{change.title} holds data and is protected; the edit would delete or replace it. Undo the edit, or "
                "move the data first and set `safety.protect: false` for one run."
            )
        told.append(wrap(words, indent="  "))
    return "\n".join(told)


def _together(found: Effects, new: Recording) -> str:
    """Says so where the replaced stop together first: they may not run with two different files at once."""
    replaced = {(c.kind, c.namespace, c.name) for c in found.replace}
    changed = {c.name for c in (*found.files, *found.replace)}
    bound = {
        new.by_urn[cause].name
        for r in new.objects
        if (r.kind, r.namespace, r.object_name) in replaced
        for cause in r.replace_with
        if cause in new.by_urn
    }
    causes = bound & changed
    if not causes:
        return ""
    names = ", ".join(sorted(causes))
    words = (
        f"All of them are deleted before the first is made anew: they may never run with two different versions of "
        f"{names}. Expect an interruption of some minutes."
    )
    return f"{wrap(words)}\n\n"


def _operated(changes: Sequence[Change], new: Recording) -> frozenset[Change]:
    """Those that an operator carries out with pods: its custom resources, and charts of operators themselves."""
    versions = {(r.kind, r.namespace, r.object_name): str(r.inputs.get("apiVersion", "")) for r in new.resources}
    return frozenset(
        c
        for c in changes
        if c.kind == "Release" or versions.get((c.kind, c.namespace, c.name), "").startswith(_OPERATED)
    )


def _sections(found: Effects, plan: StackPlan, old: Recording, new: Recording) -> Iterator[tuple[str, str]]:
    if found.refused:
        yield "Refused: the engine stops the whole edit, in the preview already", _refused(found.refused, plan)
    if lifted := _protection(old, new):
        yield "Protection lifted: from now on an edit may delete or replace these", lifted
    if found.replace:
        yield "Replaced: deleted and made again", _together(found, new) + _lines(found.replace)
    if found.restart:
        yield "Restarts: pods are replaced a few at a time", _lines(found.restart)
    operated = _operated(found.change, new)
    if operated:
        title = "Carried out by an operator, which restarts pods one by one where it must"
        yield title, _lines([c for c in found.change if c in operated])
    if len(operated) < len(found.change):
        yield "Changes in place: no pod restarts by it", _lines([c for c in found.change if c not in operated])
    if found.files:
        yield "New files: pods that mount them restart (above), all others keep theirs", _lines(found.files)
    if found.create:
        yield "Created", _lines(found.create)
    if found.delete:
        yield "Deleted", _lines(found.delete)


def _summary(found: Effects, new: Recording) -> str:
    if not found:
        return "No object changes."
    parts = [
        (found.refused, "refused"),
        (found.replace, "replaced"),
        (found.restart, "restarted"),
        (found.change, "changed in place"),
        (found.files, "new config file" if len(found.files) == 1 else "new config files"),
        (found.create, "created"),
        (found.delete, "deleted"),
    ]
    told = ", ".join(f"{len(changes)} {words}" for changes, words in parts if changes)
    loud = found.restart or found.replace or found.refused or _operated(found.change, new)
    quiet = "" if loud else " No pod restarts."
    return f"{told[0].upper()}{told[1:]}.{quiet}"


@cache
def _recorded(source: Source) -> tuple[StackPlan, Recording]:
    plan = source.plan()
    return plan, record(plan)


def report(old: Source, new: Source) -> tuple[str, Effects]:
    """The whole text, and what it tells."""
    (before, was), (after, will) = _recorded(old), _recorded(new)
    found = effects(was, will)
    rows = edits(before, after)
    head = (
        f"{new.label}, coming from {old.label}. Both are planned by the code of this checkout: what a change of code "
        "or of locked versions does is told by `pulumi preview`. A secret's new value is not seen here."
    )
    parts = [wrap(head)]
    edited = table(("setting", "before", "after"), rows) if rows else "  none that this checkout knows"
    parts.append(f"Edits: {count(len(rows), 'setting')}\n{edited}")
    if numbers := decided(before, after):
        parts.append(f"What the plan decides otherwise\n{table(('pods', 'before', 'after'), numbers)}")
    parts.append(_summary(found, will))
    parts += [f"{title}\n{'=' * len(title)}\n{text}" for title, text in _sections(found, after, was, will)]
    return "\n\n".join(parts), found


def against(stack: str, other: str) -> int:
    """Print it; 1 when the engine would refuse the edit."""
    new = find(stack)
    text, found = report(other_version(new, other), new)
    print(text)
    return int(bool(found.refused))
