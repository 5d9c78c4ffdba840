"""stack/schema.json: what an editor and CI know of the stack file."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from stack.commands.schema import FILE, schema_text
from stack.commands.stacks import stack_names
from stack.load import ROOT

VALIDATOR = Draft202012Validator(json.loads(FILE.read_text()))


def document(stack: str = "small") -> Any:
    return yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())


def test_the_committed_schema_is_what_the_models_say_now() -> None:
    assert FILE.read_text() == schema_text(), "stale; write it with `python -m stack schema --write`"


def test_the_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(json.loads(FILE.read_text()))


@pytest.mark.parametrize("stack", stack_names())
def test_every_committed_stack_file_satisfies_it_and_names_it_to_editors(stack: str) -> None:
    errors = [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(document(stack))]
    assert not errors
    first = (ROOT / f"Pulumi.{stack}.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=stack/schema.json"


def test_keys_that_pulumi_writes_are_allowed() -> None:
    valid = document()
    valid["encryptionsalt"] = "v1:abc:v1:def"
    valid["secretsprovider"] = "passphrase"
    valid["config"]["kubernetes:context"] = "production"
    assert VALIDATOR.is_valid(valid)


@pytest.mark.parametrize(
    "edit",
    [
        lambda stack: stack.update(storage_clases={}),
        lambda stack: stack["node_pools"]["application"].update(cuont=3),
        lambda stack: stack["node_pools"]["application"].update(count="three"),
        lambda stack: stack["node_pools"]["application"].update(memory="16 GB"),
        lambda stack: stack["node_pools"]["application"].update(role="app"),
        lambda stack: stack.update(concurrent_users=0),
        lambda stack: stack.pop("server_name"),
    ],
    ids=["unknown key", "unknown nested key", "wrong type", "no size", "no role", "out of range", "missing"],
)
def test_what_planning_would_refuse_is_refused_in_the_editor(edit: Callable[[dict[str, Any]], object]) -> None:
    wrong = document()
    edit(wrong["config"]["matrix:stack"])
    assert not VALIDATOR.is_valid(wrong)


def test_a_secret_may_only_stand_encrypted() -> None:
    schema = json.loads(FILE.read_text())
    leaves = [
        field
        for definition in schema["$defs"].values()
        for field in definition.get("properties", {}).values()
        if "secure" in field.get("properties", {})
    ]
    assert leaves, "the settings have secrets, and the schema must know them"
    for leaf in leaves:
        validator = Draft202012Validator(leaf)
        assert validator.is_valid({"secure": "v1:ciphertext"})
        assert not validator.is_valid("hunter2"), "a secret in clear would pass the editor"
        assert not validator.is_valid({"secure": "v1:ciphertext", "clear": "hunter2"})
