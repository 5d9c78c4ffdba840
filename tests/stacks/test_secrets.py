"""Secrets are in Secrets and nowhere else. The recording engine gives sentinels; here we look where they went."""

import base64
import re
from collections.abc import Iterator

from stack.resources import Recording, Resource, leaves
from tests.support.cluster import Cluster
from tests.support.report import none_of

_PLACEHOLDERS = re.compile(r"CHANGE.?ME|REPLACE.?ME|FIXME|TODO|hunter2|s3cr3t|password123", re.I)
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY|ACCESS_KEY|PRIVATE_KEY", re.I)


def _needles(recording: Recording) -> dict[str, str]:
    """Everything to look for: sentinels as they are, and as base64 at each of its three alignments."""
    found = dict(recording.sentinels)
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + b"SENTINEL").decode()
        # Characters that also depend on what is before and behind the word tell nothing.
        found[encoded[(0, 2, 3)[shift] : (10, 12, 14)[shift]]] = "base64 of a secret"
    return found


def _may_hold(resource: Resource, path: tuple[str | int, ...]) -> bool:
    if resource.kind == "Secret":
        return path[0] in ("data", "stringData")
    # Whoever signs with a key gets it; the engine keeps such an input encrypted because it is marked.
    return resource.type.startswith("tls:") and any(path[: len(secret)] == secret for secret in resource.secrets)


def _holders(recording: Recording) -> Iterator[tuple[Resource, tuple[str | int, ...], str]]:
    needles = _needles(recording)
    for resource in recording.resources:
        for path, value in leaves(resource.inputs):
            text = str(value)
            if "SENTINEL" in text or "VOVE" in text or "TlRJTk" in text or "TRU5" in text or "-----BEGIN P" in text:
                yield from ((resource, path, origin) for needle, origin in needles.items() if needle in text)


def test_no_secret_is_anywhere_but_in_secrets(recording: Recording) -> None:
    bad = [
        f"{resource}: {'.'.join(map(str, path))} holds {origin}"
        for resource, path, origin in _holders(recording)
        if not _may_hold(resource, path)
    ]
    none_of(bad, "whoever may read configs, arguments or objects must not learn a secret")


def test_secrets_are_in_secrets(recording: Recording) -> None:
    """Guards the test above: the sentinels are found where they belong."""
    holding = {str(resource) for resource, _, _ in _holders(recording) if resource.kind == "Secret"}
    assert len(holding) > 5


def test_every_secret_that_is_made_is_used(recording: Recording) -> None:
    used = {origin for _, _, origin in _holders(recording)}
    keys = {resource.name for resource in recording.resources if resource.type.startswith("random:index/randomPass")}
    none_of(keys - used, "a secret that nobody uses is a leftover")


def test_no_secret_is_in_a_name_or_in_an_output(recording: Recording) -> None:
    texts = [(str(r), f"{r.urn} {r.object_name}") for r in recording.resources]
    texts += [(urn, str(outputs)) for urn, outputs in recording.outputs.items()]
    none_of((where for where, text in texts if "SENTINEL" in text), "names and outputs are shown to everybody")


def test_what_secrets_hold_is_marked_as_secret(recording: Recording) -> None:
    bad = [
        f"{resource}: {part}"
        for resource in recording.of_kind("Secret")
        for part in ("data", "stringData")
        if part in resource.inputs and (part,) not in resource.secrets
    ]
    none_of(bad, "the engine would keep these in the state in clear")


def test_passwords_are_long(recording: Recording) -> None:
    bad = [
        f"{resource.name}: {resource.inputs['length']}"
        for resource in recording.resources
        if resource.type.endswith(":RandomPassword") and resource.inputs["length"] < 32
    ]
    none_of(bad, "32 letters and digits carry 190 bits")


def test_no_placeholder_is_left(recording: Recording) -> None:
    bad = [
        f"{resource}: {'.'.join(map(str, path))}"
        for resource in recording.resources
        for path, value in leaves(resource.inputs)
        if isinstance(value, str) and _PLACEHOLDERS.search(value)
    ]
    none_of(bad, "an operator would deploy it")


def test_variables_that_sound_like_secrets_take_them_from_secrets(cluster: Cluster) -> None:
    bad = [
        f"{container}: {name}"
        for container in cluster.containers
        for name, variable in container.env.items()
        if _SECRET_NAME.search(name) and "valueFrom" not in variable and not variable.get("value", "").startswith("/")
    ]
    none_of(bad, "a variable's value is in the manifest, for everybody to read")


def test_files_of_secrets_are_not_readable_by_everybody(cluster: Cluster) -> None:
    bad = [
        f"{pod.name}: volume {name}"
        for pod in cluster.pods
        for name, volume in pod.volumes.items()
        if "secret" in volume and volume["secret"].get("defaultMode", 0o644) & 0o007
    ]
    none_of(bad, "another user in the pod could read them")
