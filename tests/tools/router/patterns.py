"""Synapse's servlet patterns (regular expressions) as the path templates that they stand for."""

import re
from collections.abc import Iterable
from typing import Any

try:
    from re import _parser as sre  # type: ignore[attr-defined]
except ImportError:  # Python 3.10 and older, which this project does not support
    raise

PARAMETER = "{}"


def templates(pattern: str) -> list[str]:
    """Every path that a pattern matches, with `{}` for what a client chooses.

    Alternatives are written out, `(…)?` is taken with and without, a trailing `/?` without.
    """
    return sorted(set(_expand(sre.parse(pattern))))


def _expand(items: Iterable[tuple[Any, Any]]) -> list[str]:
    results = [""]
    for operation, argument in items:
        parts = _one(str(operation), argument)
        results = [head + part for head in results for part in parts]
    return results


def _one(operation: str, argument: Any) -> list[str]:
    match operation:
        case "LITERAL":
            return [chr(argument)]
        case "AT":
            return [""]
        case "ANY":  # an unescaped dot in a name such as m.login.registration_token
            return ["."]
        case "BRANCH":
            return [text for branch in argument[1] for text in _expand(branch)]
        case "SUBPATTERN":
            return _expand(argument[3])
        case "IN":
            # The parser has turned alternatives with a common beginning (r0|v3) into sets of characters.
            assert all(str(kind) == "LITERAL" for kind, _ in argument), f"a lone character set: {argument}"
            return [chr(code) for _, code in argument]
        case "MAX_REPEAT":
            low, high, inner = argument
            if (low, high) == (0, 1):
                optional = _expand(inner)
                return [""] if optional == ["/"] else ["", *optional]
            return [PARAMETER]
    raise NotImplementedError(f"{operation} in a servlet pattern")


def anonymous(template: str) -> str:
    """A template of our table, with its parameters' names left out."""
    return re.sub(r"\{\w+\}", PARAMETER, template)
