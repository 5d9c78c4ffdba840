"""Turns pydantic's validation errors into problems that name the key path, the rule and the value."""

import difflib
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from kube.errors import Problem, StackError

__all__ = ["Problem", "StackError", "problems_of"]


def key_path(location: Sequence[int | str]) -> str:
    """`("synapse", "workers", 0)` -> `synapse.workers[0]`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path else str(part)
    return path


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in typing.get_args(annotation) for model in _models_in(arg)]


def _known_keys(root: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Field names that are legal where the last element of `location` stands."""
    models: list[type[BaseModel]] = [root]
    for part in location[:-1]:
        nested: list[type[BaseModel]] = []
        for model in models:
            field = model.model_fields.get(str(part))
            nested += _models_in(field.annotation) if field else []
        models = nested or models  # a key of a dictionary: stay with the dictionary's value model
    return sorted({name for model in models for name in model.model_fields})


_WORDS = {
    "missing": "is missing and has no default",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_type": "must be text (quote it if it looks like a number)",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
}


def _rule(error: Any, root: type[BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "extra_forbidden":
        known = _known_keys(root, error["loc"])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.6)
        return f"unknown key; did you mean {near[0]!r}?" if near else f"unknown key; known are: {', '.join(known)}"
    if kind in _WORDS:
        return _WORDS[kind]
    for bound, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
        if bound in context:
            return f"must be {sign} {context[bound]}"
    if kind in ("string_too_short", "too_short"):
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"must have at least {least} characters or items"
    if kind in ("enum", "literal_error"):
        return f"must be one of {context['expected']}"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}"
    message = str(error["msg"])
    return message.removeprefix("Value error, ")


def problems_of(error: ValidationError, root: type[BaseModel]) -> list[Problem]:
    """One Problem for each validation error. Values of mappings and possible secrets are not shown."""
    result = []
    found = error.errors(include_url=False)
    for item in found:
        # A list whose only item is wrong counts as empty as well; the item's own message says what to do.
        inside = [i for i in found if i is not item and i["loc"][: len(item["loc"])] == item["loc"]]
        if item["type"] == "too_short" and inside:
            continue
        rule = _rule(item, root)
        value = item.get("input")
        plain = isinstance(value, (str, int, float, bool)) and "in clear" not in rule
        told = repr(value) in rule or f"(got {value})" in rule
        show = plain and not told and item["type"] not in ("missing", "extra_forbidden")
        result.append(Problem(path=key_path(item["loc"]), rule=rule, value=value, show_value=show))
    return result
