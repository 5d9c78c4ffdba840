"""The same settings give the same objects: in this process, in another one, and whatever order sets come in."""

import hashlib
import os
import subprocess
import sys

from stack.plan import make_plan
from stack.record import record
from stack.resources import Recording
from tests.support.variants import recording_of, settings_of

_PRINT = "from tests.stacks.test_determinism import digest; print(digest())"


def _text(recording: Recording) -> str:
    return "\n".join(f"{r.urn} {r.inputs} {r.dependencies} {r.replace_with}" for r in recording.resources)


def digest() -> str:
    """Hash of everything that small declares."""
    return hashlib.sha256(_text(recording_of("small")).encode()).hexdigest()


def test_recording_twice_gives_the_same_text() -> None:
    again = record(make_plan(settings_of("small"), "small"))
    for one, other in zip(recording_of("small").resources, again.resources, strict=True):
        assert one == other, f"{one} differs: an up without a change would do something"


def test_the_order_of_sets_decides_nothing() -> None:
    """Python mixes the order of sets of strings anew in every process, unless it is told a seed."""
    seeds = ("1", "2")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PRINT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in seeds
    ]
    found = {process.communicate()[0].strip() for process in processes}
    assert len(found) == 1, "pods would restart with every up"
