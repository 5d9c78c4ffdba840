"""Property values as Pulumi sends them over gRPC, and as the stand-in providers use them.

A value is JSON-like, or `UNKNOWN` (in previews, what another resource has yet to give), or a `Secret` around a value.
The signatures are constants of Pulumi's protocol (sdk/go/common/resource/plugin/rpc.go).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import struct_pb2  # type: ignore[import-untyped]

from sandbox.providers.errors import ProviderError

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS = {
    _UNKNOWN_STRING,
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
    "e48ece36-62e2-4504-bad9-02848725956a",  # archive
}


class Unknown:
    """The type of `UNKNOWN`."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine encrypts in its state. It does not print what it holds."""

    value: Any = field(repr=False)


def from_wire(properties: struct_pb2.Struct) -> dict[str, Any]:
    """The properties of a request. Absent and null mean the same, to Pulumi as to us."""
    values = {key: _from_wire(value) for key, value in properties.fields.items()}
    return {key: value for key, value in values.items() if value is not None}


def _from_wire(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
        case "list_value":
            return [_from_wire(item) for item in value.list_value.values]
        case "struct_value":
            fields = value.struct_value.fields
            signature = fields[_SIGNATURE].string_value if _SIGNATURE in fields else None
            if signature is None:
                return from_wire(value.struct_value)
            if signature == _SECRET:
                inner = _from_wire(fields["value"])
                return None if inner is None else Secret(inner)
            raise ProviderError("assets, archives and resource references are not values that this provider takes")
        case _:
            return None


def to_wire(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """The properties of an answer."""
    return struct_pb2.Struct(fields={key: _to_wire(value) for key, value in properties.items()})


def _to_wire(value: Any) -> struct_pb2.Value:
    if isinstance(value, Secret):
        inner = {_SIGNATURE: struct_pb2.Value(string_value=_SECRET), "value": _to_wire(value.value)}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=inner))
    if isinstance(value, Unknown):
        return struct_pb2.Value(string_value=_UNKNOWN_STRING)
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=to_wire(value))
    return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_to_wire(item) for item in value]))


def plain(value: Any) -> Any:
    """The value without its secret marks, at any depth."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def is_known(value: Any) -> bool:
    """Whether nothing in it is `UNKNOWN`, at any depth."""
    if isinstance(value, Secret):
        return is_known(value.value)
    if isinstance(value, Mapping):
        return all(is_known(item) for item in value.values())
    if isinstance(value, list):
        return all(is_known(item) for item in value)
    return not isinstance(value, Unknown)
