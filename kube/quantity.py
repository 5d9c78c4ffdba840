"""Kubernetes quantities as integers: bytes and millicores."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_MEMORY = re.compile(r"^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P|)$", re.ASCII)
_CPU = re.compile(r"^(\d+)m$|^(\d+(?:\.\d{1,3})?)$", re.ASCII)

MI = 2**20
GI = 2**30


def parse_bytes(text: str) -> int:
    """`16Gi` -> 17179869184. ValueError in words when it is no Kubernetes quantity."""
    match = _MEMORY.match(text)
    if not match:
        raise ValueError(f"must be a size such as 512Mi, 16Gi or 2Ti, not {text!r}")
    number, unit = match.groups()
    return int(Decimal(number) * (_BINARY.get(unit) or _DECIMAL[unit]))


def parse_cpu(text: str | int | float) -> int:
    """Millicores: `250m` -> 250, `2` -> 2000, `0.5` -> 500."""
    match = _CPU.match(str(text))
    if not match:
        raise ValueError(f"must be CPU such as 250m, 0.5 or 4, not {text!r}")
    milli, cores = match.groups()
    return int(milli) if milli else round(float(cores) * 1000)


def format_bytes(value: int) -> str:
    """The shortest exact binary form: 17179869184 -> `16Gi`; bytes that are no multiple of 1 Ki stay bytes."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if value and value % _BINARY[unit] == 0:
            return f"{value // _BINARY[unit]}{unit}"
    return str(value)


def format_cpu(millicores: int) -> str:
    """500 -> `500m`, 2000 -> `2`."""
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"


def _check_size(text: str) -> str:
    parse_bytes(text)
    return text


def _check_cpu(text: str) -> str:
    parse_cpu(text)
    return text


Size = Annotated[str, AfterValidator(_check_size), Field(json_schema_extra={"pattern": _MEMORY.pattern})]
"""A settings field that holds a Kubernetes size (`16Gi`)."""

Cpu = Annotated[str, AfterValidator(_check_cpu), Field(json_schema_extra={"pattern": _CPU.pattern})]
"""A settings field that holds a Kubernetes CPU amount (`250m`, `2`)."""
