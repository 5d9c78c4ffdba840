"""`explain <stack> --against <revision|file>`: what an edit does to a running stack, before it is made.

Both versions of the stack file are planned and recorded by the code of this checkout, and the two recordings are
compared by the provider's own rules (stack/diff.py). Nothing is asked of a cluster or of a state.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stack.commands.stacks import Source, find, other_version
from stack.commands.table import count, table, wrap
from stack.diff import Change, Effects, differences, effects, short
from stack.guards import guards
from stack.plan import StackPlan
from stack.record import record
from stack.resources import Recording

FIELDS_SHOWN = 4


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
    rows = []
    for change in changes:
        fields = [short(field) for field in change.fields]
        more = f" and {len(fields) - FIELDS_SHOWN} more" if len(fields) > FIELDS_SHOWN else ""
        where = f"{change.namespace}/{change.name}" if change.namespace else change.name
        rows.append((change.kind, where, ", ".join(fields[:FIELDS_SHOWN]) + more))
    return table(("kind", "name", "fields"), rows)


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


def _together(changes: Sequence[Change], new: Recording) -> str:
    """Says so where the replaced stop together first: they may not run with two different files at once."""
    replaced = {(c.kind, c.namespace, c.name) for c in changes}
    causes = {
        new.by_urn[cause].name
        for r in new.objects
        if (r.kind, r.namespace, r.object_name) in replaced
        for cause in r.replace_with
        if cause in new.by_urn
    }
    if not causes:
        return ""
    names = ", ".join(sorted(causes))
    words = (
        f"All of them are deleted before the first is made anew: they may never run with two different versions of "
        f"{names}. Expect an interruption of some minutes."
    )
    return f"{wrap(words)}\n\n"


def _sections(found: Effects, plan: StackPlan, new: Recording) -> Iterator[tuple[str, str]]:
    if found.refused:
        yield "Refused: the engine stops the whole edit, in the preview already", _refused(found.refused, plan)
    if found.replace:
        yield "Replaced: deleted and made again", _together(found.replace, new) + _lines(found.replace)
    if found.restart:
        yield "Restarts: pods are replaced a few at a time", _lines(found.restart)
    if found.change:
        yield "Changes in place: no pod restarts by it", _lines(found.change)
    if found.files:
        yield "New files: pods that mount them restart (above), all others keep theirs", _lines(found.files)
    if found.create:
        yield "Created", _lines(found.create)
    if found.delete:
        yield "Deleted", _lines(found.delete)


def _summary(found: Effects) -> str:
    if not found:
        return "Nothing happens: both versions declare the same objects."
    parts = [
        (found.refused, "refused"),
        (found.replace, "replaced"),
        (found.restart, "restarted"),
        (found.change, "changed in place"),
        (found.files, "new config files"),
        (found.create, "created"),
        (found.delete, "deleted"),
    ]
    told = ", ".join(f"{len(changes)} {words}" for changes, words in parts if changes)
    quiet = "" if found.restart or found.replace or found.refused else " No pod of ours restarts."
    return f"{told[0].upper()}{told[1:]}.{quiet}"


def report(old: Source, new: Source) -> tuple[str, Effects]:
    """The whole text, and what it tells."""
    before, after = old.plan(), new.plan()
    recording = record(after)
    found = effects(record(before), recording)
    rows = edits(before, after)
    head = (
        f"{new.label}, coming from {old.label}. Both are planned by the code of this checkout: what a change of code "
        "or of locked versions does is told by `pulumi preview`. A secret's new value is not seen here."
    )
    parts = [wrap(head)]
    edited = table(("setting", "before", "after"), rows) if rows else "  none that this checkout knows"
    parts.append(f"Edits: {count(len(rows), 'setting')}\n{edited}")
    parts.append(_summary(found))
    parts += [f"{title}\n{'=' * len(title)}\n{text}" for title, text in _sections(found, after, recording)]
    return "\n\n".join(parts), found


def against(stack: str, other: str) -> int:
    """Print it; 1 when the engine would refuse the edit."""
    new = find(stack)
    text, found = report(other_version(new, other), new)
    print(text)
    return int(bool(found.refused))
