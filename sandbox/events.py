"""What the engine did, out of its event log."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# An operation of several steps counts as what a person would call it.
_MEANING = {
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "remove-pending-replace": "replace",
    "discard-replaced": "replace",
    "read-replacement": "replace",
    "import-replacement": "replace",
}
_DISPLAY_SECONDS = 0.5


@dataclass
class Events:
    """Operations by URN, in the order of their events."""

    # Every step as (event, engine's operation, urn): event is "begin", "done" or "failed".
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    active: dict[str, float] = field(default_factory=dict)
    registered: int = 0

    @property
    def operations(self) -> dict[str, str]:
        """{urn: create | update | replace | delete | read | same}; a replacement is one operation."""
        found: dict[str, str] = {}
        for _, operation, urn in self.steps:
            meaning = _MEANING.get(operation, operation)
            if found.get(urn) != "replace":
                found[urn] = meaning
        return found

    @property
    def changes(self) -> dict[str, str]:
        """The operations without those that changed nothing."""
        return {
            u: o
            for u, o in self.operations.items()
            if o not in ("same", "read") and not u.endswith("::pulumi:pulumi:Stack")
        }

    def named(self, operation: str) -> set[str]:
        """`kind/logical name` of every resource with the operation, for assertions a person can read."""
        return {short(urn) for urn, found in self.changes.items() if found == operation}

    def counts(self) -> Counter[str]:
        return Counter(self.operations.values())

    def order(self, *operations: str) -> list[str]:
        """`operation kind/name` in the order in which steps began, of the engine's own operations."""
        return [
            f"{o} {short(u)}" for event, o, u in self.steps if event == "begin" and (not operations or o in operations)
        ]

    def add(self, event: dict[str, Any]) -> None:
        for key, word in (("resourcePreEvent", "begin"), ("resOutputsEvent", "done"), ("resOpFailedEvent", "failed")):
            if key in event:
                metadata = event[key]["metadata"]
                urn, operation = metadata["urn"], metadata["op"]
                self.steps.append((word, operation, urn))
                if word == "begin":
                    self.registered += 1
                    self.active[urn] = time.monotonic()
                else:
                    self.active.pop(urn, None)
        diagnostic = event.get("diagnosticEvent")
        if diagnostic and diagnostic["severity"] in ("error", "warning") and not diagnostic.get("ephemeral"):
            where = short(diagnostic["urn"]) + ": " if diagnostic.get("urn") else ""
            target = self.errors if diagnostic["severity"] == "error" else self.warnings
            target.append(where + diagnostic["message"].strip())


def short(urn: str) -> str:
    """`urn:…::kubernetes:apps/v1:StatefulSet::main` -> `StatefulSet/main`."""
    _, _, kind, name = urn.split("::", 3)
    return f"{kind.rpartition('$')[2].rpartition(':')[2]}/{name}"


def follow(
    event_log: Path, process: "subprocess.Popen[bytes]", progress: Callable[[Events], None] | None
) -> tuple[Events, float]:
    """Read events while the engine writes them, until it has ended; with the seconds that it took."""
    events, began, rest = Events(), time.monotonic(), ""
    shown = 0.0
    with event_log.open() as log:
        while True:
            ended = process.poll() is not None
            text = rest + log.read()
            lines = text.split("\n")
            rest = lines.pop()
            for line in lines:
                if line.strip():
                    events.add(json.loads(line))
            if progress and (ended or time.monotonic() - shown > _DISPLAY_SECONDS):
                shown = time.monotonic()
                progress(events)
            if ended:
                if rest.strip():
                    events.add(json.loads(rest))
                return events, time.monotonic() - began
            time.sleep(0.1)
