"""What an edit does to a running stack: the engine's own word, held against what `explain --against` promises.

The stack is large with federation, so that there is every type of process, and several of most.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from sandbox import report
from sandbox.api import core
from sandbox.engine import Result, project
from sandbox.events import short
from sandbox.session import Session
from sandbox.stackfile import CONFIG_KEY, merge
from stack.diff import Change, Effects, effects
from stack.load import parse
from stack.record import record_settings
from stack.resources import Recording

_STACK = "large"
_BASE: dict[str, Any] = {"federation": {"enabled": True}}
# Another number of every process that may be there more than once.
_COUNTS = {
    "synchrotron": 20,
    "sliding_sync": 8,
    "generic": 14,
    "event_persister": 6,
    "receipts": 1,
    "device_lists": 1,
    "pusher": 5,
    "federation_sender": 8,
    "federation_inbound": 5,
    "federation_reader": 4,
}
_AUTOSCALER_SECONDS = 60.0  # it looks every 15 s; new pods start a moment later


def _workers(process: str, replicas: int) -> dict[str, Any]:
    return {"synapse": {"workers": {process: {"replicas": replicas}}}}


class Running:
    """The deployed stack, and what it would be after an edit."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.before = self.recording({})

    def run(self, operation: str, changes: dict[str, Any], *arguments: str) -> Result:
        config = self.session.config_file(_STACK, merge(_BASE, changes))
        return self.session.engine.run(operation, project(), _STACK, config_file=config, arguments=arguments)

    def recording(self, changes: dict[str, Any]) -> Recording:
        """What the program declares with the edit, as `explain` sees it."""
        document = yaml.safe_load(self.session.config_file(_STACK, merge(_BASE, changes)).read_text())
        return record_settings(parse(document["config"][CONFIG_KEY], "copy"), _STACK)

    def pods(self) -> dict[str, str]:
        """Identity of every Synapse pod by name."""
        found = self.session.cluster.api.list(
            core("pods", "matrix"), labelSelector="app.kubernetes.io/component=synapse"
        )
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}


def _promised(before: Recording, after: Recording) -> tuple[Effects, dict[str, set[str]]]:
    """The promise, and the same as the engine's operations with its logical names."""
    names: dict[tuple[str, str, str], str] = {}
    for recording in (after, before):
        names |= {(r.kind, r.namespace, r.name): short(r.urn) for r in recording.resources}

    def named(changes: tuple[Change, ...]) -> set[str]:
        return {names[change.kind, change.namespace, change.name] for change in changes}

    found = effects(before, after)
    operations = {
        "update": named(found.restart) | named(found.change),
        "replace": named(found.replace) | named(found.files),
        "create": named(found.create),
        "delete": named(found.delete),
    }
    return found, {operation: what for operation, what in operations.items() if what}


def _done(result: Result) -> dict[str, set[str]]:
    """The engine's operations on resources; components are only brackets."""
    changed = {
        urn: o
        for urn, o in result.events.changes.items()
        if not urn.split("::")[2].split("$")[-1].startswith("matrix:")
    }
    return {operation: {short(u) for u, o in changed.items() if o == operation} for operation in set(changed.values())}


@pytest.fixture(scope="module")
def running(sandbox: Session) -> Iterator[Running]:
    sandbox.serve(_STACK)
    found = Running(sandbox)
    result = found.run("up", {})
    assert result.ok, f"{result.output[-4000:]}\n{report.diagnosis(sandbox.cluster.api)}"
    yield found


@pytest.mark.parametrize("process", _COUNTS)
def test_a_preview_of_another_count_announces_exactly_what_explain_promises(running: Running, process: str) -> None:
    edit = _workers(process, _COUNTS[process])
    result = running.run("preview", edit)
    assert result.ok, result.output[-4000:]
    _, promised = _promised(running.before, running.recording(edit))
    assert promised, f"{_COUNTS[process]} of {process} is no edit: choose another number"
    assert _done(result) == promised


def test_more_synchrotrons_restart_nothing_and_replace_nothing(running: Running) -> None:
    before = running.pods()
    result = running.run("up", _workers("synchrotron", 20))
    assert result.ok, result.output[-4000:]
    deadline = time.monotonic() + _AUTOSCALER_SECONDS
    while len(after := running.pods()) < len(before) + 4 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert "replace" not in _done(result) and "delete" not in _done(result), f"only updates, found {_done(result)}"
    assert {name: after.get(name) for name in before} == before, "every pod that ran runs on, the very same"
    new = [name.rpartition("-")[0] for name in set(after) - set(before)]
    assert new == ["synapse-synchrotron"] * 4, f"and four synchrotrons are new, found {new}"


def test_more_event_persisters_stop_every_synapse_process_before_any_starts(running: Running) -> None:
    before = running.pods()
    edit = _workers("event_persister", 6)
    announced = running.run("preview", edit)
    result = running.run("up", edit)
    assert result.ok, f"{result.output[-4000:]}\n{report.diagnosis(running.session.cluster.api)}"
    assert _done(announced).get("replace") == _done(result).get("replace"), "the preview said so"
    order = result.events.order("delete-replaced", "create-replacement", "create")
    lists = "ConfigMap/synapse-instances"
    sets = [step for step in order if "StatefulSet/synapse" in step or step.endswith(f" {lists}")]
    made = [number for number, step in enumerate(sets) if step == f"create-replacement {lists}"]
    assert len(made) == 1, f"the new lists stand between stopping and starting, found {sets}"
    stopped, started = sets[: made[0]], sets[made[0] + 1 :]
    assert all(step.startswith("delete-replaced") for step in stopped), f"nothing starts with the old lists: {sets}"
    assert not any(step.startswith("delete-replaced") for step in started), f"all have stopped before: {sets}"
    survivors = {name for name, uid in running.pods().items() if before.get(name) == uid}
    assert survivors == set(), "two processes with different lists of writers would write each other's streams"


@pytest.mark.parametrize(
    ("edit", "guard"),
    [
        ({"server_name": "other.example.org"}, "server_name"),
        ({"federation": {"enabled": False}}, "federation"),
    ],
)
def test_a_dangerous_edit_is_refused_before_anything_is_touched(
    running: Running, edit: dict[str, Any], guard: str
) -> None:
    before = running.pods()
    announced = running.run("preview", edit)
    assert not announced.ok, "the preview refuses already"
    assert f"{guard} must not change unless safety.confirm lists it" in announced.output
    result = running.run("up", edit)
    assert not result.ok, "and so does the up"
    assert running.pods() == before, "no pod of ours was touched"


def test_another_stack_can_be_previewed_meanwhile(running: Running) -> None:
    session = running.session
    variables = {"KUBECONFIG": str(session.preview_kubeconfig("small"))}
    config = session.config_file("small")
    result = session.engine.run("preview", project(), "small", config_file=config, extra_environment=variables)
    assert result.ok, f"objects of {_STACK} must not be in the way of small's:\n{result.output[-4000:]}"
    assert set(result.events.changes.values()) == {"create"}


def test_the_stack_is_whole_after_all_edits(running: Running) -> None:
    result = running.run("up", _workers("event_persister", 6))
    assert result.ok, result.output[-4000:]
    api = running.session.cluster.api
    assert report.not_running(api) + report.custom_not_ready(api) + report.dangling_references(api) == []
