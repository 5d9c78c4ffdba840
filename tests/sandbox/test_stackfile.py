"""The copy of a stack file: what the sandbox changes, and that it changes nothing else."""

from pathlib import Path

import pytest
import yaml

from sandbox import stackfile
from sandbox.errors import SandboxError

_TEXT = "config:\n  matrix:stack:\n    server_name: chat.example.org\n    redis: {a: 1, b: 2}\n  other:key: kept\n"


def _copy(tmp_path: Path, text: str = _TEXT, **changes: object) -> dict[str, object]:
    source, target = tmp_path / "Pulumi.x.yaml", tmp_path / "copy.yaml"
    source.write_text(text)
    stackfile.write_copy(source, target, "v1:salt", dict(changes))
    assert source.read_text() == text, "the committed file is never edited"
    assert target.stat().st_mode & 0o077 == 0, "the copy may come to hold encrypted values: its owner's only"
    loaded: dict[str, object] = yaml.safe_load(target.read_text())
    return loaded


def test_mappings_are_merged_key_by_key() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert stackfile.merge(base, {"a": {"b": 3}, "d": [2]}) == {"a": {"b": 3, "c": 2}, "d": [2]}
    assert base == {"a": {"b": 1, "c": 2}, "d": [1]}


def test_the_copy_carries_salt_changes_and_all_other_keys(tmp_path: Path) -> None:
    copy = _copy(tmp_path, redis={"b": 3})
    config = copy["config"]
    assert isinstance(config, dict)
    assert copy["encryptionsalt"] == "v1:salt"
    assert config["other:key"] == "kept"
    assert config["matrix:stack"]["redis"] == {"a": 1, "b": 3}


def test_every_override_has_a_reason_and_names_a_setting_that_exists() -> None:
    changes, reasons = stackfile.overrides()
    assert len(reasons) == sum(len(entries) for entries in changes.values())
    assert all(reasons.values())


def test_a_file_without_a_stack_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="no `config:` with an object under `matrix:stack`"):
        _copy(tmp_path, "config: {}\n")


def test_values_that_only_another_passphrase_opens_are_refused(tmp_path: Path) -> None:
    text = _TEXT + "  x: {secure: v1:abc}\nencryptionsalt: v1:theirs\n"
    with pytest.raises(SandboxError, match="only its own passphrase opens"):
        _copy(tmp_path, text)


def test_an_unknown_stack_is_answered_with_those_that_exist() -> None:
    with pytest.raises(SandboxError) as refused:
        stackfile.committed("hug")
    assert "large, medium, small" in refused.value.hint
