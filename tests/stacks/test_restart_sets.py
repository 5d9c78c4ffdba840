"""What each edit of the stack file restarts, changes and replaces: tests/stacks/restart_sets.yaml is the answer."""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from stack.diff import Change, Effects, short
from stack.errors import key_path
from stack.resources import Recording, leaves
from tests.stacks.test_safety import holds_data
from tests.support.edits import EDITS, all_effects
from tests.support.golden import dump, stale
from tests.support.report import none_of
from tests.support.variants import recording_of

GOLDEN = Path(__file__).parent / "restart_sets.yaml"
# Checked, but too long to read: it moves everything.
UNTOLD = frozenset({"another namespace"})
_TITLE = """\
# What each edit of a stack file does to a running stack. Tests make and compare this file
# (`pytest tests/stacks/test_restart_sets.py --update-golden`); read it as documentation.
#
#   restart  pods are replaced, a few at a time    files    config files with a new content, beside the old ones
#   change   updated in place, no pod restarts     replace  deleted and made again, pods included
#   refused  protected: the engine refuses the whole edit until safety.confirm lists it or protection is lifted
"""


# Long lists of one family are shortened when they name all of it.
_FAMILY = "synapse-"


def _names(changes: Iterable[Change], recording: Recording) -> dict[str, str]:
    result: dict[str, str] = {}
    for kind in sorted({change.kind for change in changes}):
        names = [change.name for change in changes if change.kind == kind]
        family = {n for n in names if n.startswith(_FAMILY)}
        # A process' own files are called as it is.
        everybody = {r.object_name for r in recording.of_kind("StatefulSet") if r.object_name.startswith(_FAMILY)}
        if len(everybody) > 1 and everybody <= family:
            names = [f"every {_FAMILY}* ({len(everybody)})", *(n for n in names if n not in everybody)]
        result[kind] = ", ".join(names)
    return result


def _readable(effects: Effects, recording: Recording) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for field in fields(effects):
        changes: tuple[Change, ...] = getattr(effects, field.name)
        if changes and field.name == "change":
            result["change"] = {change.title: ", ".join(sorted(map(short, change.fields))) for change in changes}
        elif changes:
            result[field.name] = _names(changes, recording)
    return result or {"nothing": "happens"}


def _table() -> str:
    def entry(name: str) -> dict[str, Any]:
        edit = EDITS[name]
        change = {key_path(path): value for path, value in leaves(edit.change)}
        return {"stack": edit.base, "edit": change, "does": _readable(all_effects()[name], recording_of(edit.base))}

    return _TITLE + "\n" + "\n".join(dump({name: entry(name)}, sort=False) for name in EDITS if name not in UNTOLD)


def test_edits_do_exactly_what_the_table_says(update_golden: bool) -> None:
    diff = stale(GOLDEN, _table(), update=update_golden)
    assert not diff, f"an edit does something else than it did; if that is wanted, --update-golden:\n{diff}"


@pytest.mark.parametrize("name", EDITS)
def test_no_edit_replaces_or_deletes_what_holds_data(name: str) -> None:
    data = {(r.kind, r.object_name) for r in recording_of(EDITS[name].base).objects if holds_data(r)}
    found = all_effects()[name]
    none_of(
        (c.title for c in (*found.replace, *found.delete) if (c.kind, c.name) in data),
        f"`{name}` would take data away",
    )


@pytest.mark.parametrize("name", [name for name, edit in EDITS.items() if not edit.dangerous])
def test_ordinary_edits_are_not_refused(name: str) -> None:
    none_of((c.title for c in all_effects()[name].refused), f"`{name}` must be possible without lifting any protection")


@pytest.mark.parametrize("name", [name for name, edit in EDITS.items() if edit.dangerous])
def test_dangerous_edits_are_refused(name: str) -> None:
    assert all_effects()[name].refused, f"`{name}` must not happen by an ordinary edit"


@pytest.mark.parametrize("name", ["synchrotrons 16 to 20", "synchrotrons 4 to 5", "generic workers 2 to 3"])
def test_more_of_what_no_config_names_restarts_nobody(name: str) -> None:
    found = all_effects()[name]
    assert not found.restart and not found.replace, f"{found.restart + found.replace}: nobody has to know of new ones"
    assert found.change, "the edit does something"


def test_more_event_persisters_replace_every_synapse_process_together() -> None:
    found = all_effects()["event persisters 2 to 3"]
    synapse = {
        r.object_name for r in recording_of("small").of_kind("StatefulSet") if r.object_name.startswith("synapse-")
    }
    assert {c.name for c in found.replace if c.kind == "StatefulSet"} == synapse, "two lists of writers lose events"
    assert not found.restart, "one after the other is what must not happen"


def test_an_image_restarts_exactly_the_pods_that_run_it() -> None:
    for name in ("image of Valkey", "image of HAProxy", "image of Synapse"):
        found = all_effects()[name]
        image = EDITS[name].change["images"]["overrides"]
        key, reference = next(iter(image.items()))
        running = {c.name for c in (*found.restart, *found.replace)}
        assert running, f"nobody runs {key}"
        assert not found.files, f"{reference}: an image is in no config file"
