"""Golden manifests: every object of the three stacks, as reviewed. `pytest --update-golden` writes them anew.

One file for each system: a change of the program shows its whole effect in the diff of a review. Medium and large
tell what differs from small. Long texts that have tests of their own (the router's maps) are told by their hash.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kube.names import sha8
from stack.resources import Recording, Resource
from tests.support.golden import dump, stale
from tests.support.variants import STACKS, recording_of

FOLDER = Path(__file__).parent / "golden"
_LONGEST = 6_000
_LIMIT = 700_000


def _system(resource: Resource, recording: Recording) -> str:
    """The component that declares it, as a file name: the first one below the platform."""
    chain = [resource]
    while chain[-1].parent in recording.by_urn:
        chain.append(recording.by_urn[chain[-1].parent])
    components = [r for r in reversed(chain) if r.type.startswith("matrix:")]
    return components[1].name if len(components) > 1 else "platform"


def _normalised(value: Any, secrets: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _normalised(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_normalised(item, secrets) for item in value]
    if isinstance(value, str):
        if len(value) > _LONGEST:
            return f"<{len(value.splitlines())} lines, hash {sha8(value)}>"
        return "<secret>" if any(secret in value for secret in secrets) else value
    return value


def _document(resource: Resource, recording: Recording) -> Any:
    inputs = _normalised(resource.inputs, recording.sentinels)
    if resource.kind == "Secret":
        for part in ("data", "stringData"):
            if part in inputs:
                inputs[part] = dict.fromkeys(inputs[part], "<secret>")
    options = {
        name: value
        for name in ("protect", "retain_on_delete", "delete_before_replace", "ignore_changes")
        if (value := getattr(resource, name))
    }
    if options:
        inputs["(options)"] = {name: list(v) if isinstance(v, tuple) else v for name, v in options.items()}
    return inputs


def _systems(stack: str) -> dict[str, dict[str, Any]]:
    """System -> object -> document."""
    recording = recording_of(stack)
    systems: dict[str, dict[str, Any]] = {}
    for resource in recording.resources:
        if resource.custom and not resource.type.startswith(("pulumi:", "random:", "tls:")):
            documents = systems.setdefault(_system(resource, recording), {})
            documents[str(resource)] = _document(resource, recording)
    return systems


def _files(stack: str) -> dict[Path, str]:
    first = _systems(STACKS[0])
    files = {}
    for system, documents in _systems(stack).items():
        known = {} if stack == STACKS[0] else first.get(system, {})
        same = [name for name, document in documents.items() if document == known.get(name)]
        told = [document for name, document in documents.items() if name not in same]
        files[FOLDER / stack / f"{system}.yaml"] = dump(*told, *([{f"as in {STACKS[0]}": same}] if same else []))
    return files


def test_manifests_are_as_reviewed(stack: str, update_golden: bool) -> None:
    files = _files(stack)
    differences = [stale(path, text, update=update_golden) for path, text in files.items()]
    leftover = [path for path in (FOLDER / stack).glob("*.yaml") if path not in files]
    if update_golden:
        for path in leftover:
            path.unlink()
        leftover = []
    found = "\n".join(filter(None, differences))
    assert not found, f"the program declares something else; if that is wanted, --update-golden:\n{found}"
    assert not leftover, f"no system of that name is left: {leftover}"


def test_golden_manifests_hold_no_secret_and_stay_small(stack: str) -> None:
    texts = [path.read_text() for path in (FOLDER / stack).glob("*.yaml")]
    sentinels = recording_of(stack).sentinels
    assert texts and not any(secret in text for text in texts for secret in sentinels), "these files are public"
    total = sum(path.stat().st_size for path in FOLDER.rglob("*.yaml"))
    assert total < _LIMIT, f"{total} bytes: nobody reviews that"


def test_every_stack_has_golden_manifests() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(STACKS)
