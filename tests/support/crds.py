"""Custom resource definitions of the pinned operators, and what they say about an object."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from sandbox import toolchain


class _Loader(yaml.CSafeLoader):
    """YAML as Go reads it: a plain `=` (an operator in a list of them) is text."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


def _strict(schema: Any) -> Any:
    """The same schema where an unknown field is an error: the API server drops it without a word."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _strict(value) for key, value in schema.items() if key != "format"}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not open_ended:
        result["additionalProperties"] = False
    return result


@cache
def _definitions() -> Mapping[tuple[str, str], Draft202012Validator]:
    """(apiVersion, kind) -> validator, for every served version of every definition."""
    toolchain.ensure(["crds"])
    found = {}
    for path in sorted(toolchain.directory("crds").rglob("*.yaml")):
        for definition in yaml.load_all(path.read_text(), _Loader):
            if not definition or definition.get("kind") != "CustomResourceDefinition":
                continue
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = _strict(version["schema"]["openAPIV3Schema"])
                schema["properties"] = {**schema["properties"], "metadata": {"type": "object"}}
                key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                found[key] = Draft202012Validator(schema)
    return found


def is_defined(document: Mapping[str, Any]) -> bool:
    """Whether there is a definition for this object's kind."""
    return (document["apiVersion"], document["kind"]) in _definitions()


def errors(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with a custom resource; KeyError when nobody defines its kind."""
    validator = _definitions()[document["apiVersion"], document["kind"]]
    return [f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(document)]
