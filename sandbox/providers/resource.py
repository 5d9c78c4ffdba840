"""What the official providers' framework does for every type: check inputs, fill in defaults, compare, replace.

The official providers come from Terraform through Pulumi's bridge. Of its behaviour this keeps what a stack can see:
defaults appear in the state but not in the inputs; a change is a difference between the planned state and the
recorded one; nearly every change replaces, because the value belongs to the inputs that it was made from.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from sandbox.providers.errors import ProviderError
from sandbox.providers.values import UNKNOWN, Secret, Unknown, is_known, plain

Kind = Literal["string", "number", "bool", "list", "map", "object"]

_TYPES: Mapping[Kind, tuple[type, ...]] = {
    "string": (str,),
    "number": (int,),
    "bool": (bool,),
    "list": (list,),
    "map": (dict,),
    "object": (dict,),
}


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input of a resource type.

    `allowed` limits a string, or every element of a list. `fields` are those of an object. `replaces` is whether a
    change makes a new resource; otherwise it is recorded and nothing else happens.
    """

    kind: Kind
    required: bool = False
    default: Any = None
    secret: bool = False
    replaces: bool = True
    minimum: int | None = None
    allowed: tuple[str, ...] = ()
    fields: Mapping[str, "Input"] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Why an input is refused. `path` is the input's path below the resource; empty for the resource as a whole."""

    path: str
    reason: str

    def text(self, name: str) -> str:
        """In the words of Pulumi's bridge, which point at the resource and the input."""
        where = f"{name}.{self.path}" if self.path else name
        return f"{self.reason}. Examine values at '{where}'."


@dataclass(frozen=True)
class Made:
    """A new resource: its id, which Pulumi never encrypts, and its computed outputs."""

    id: str
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """How one property differs. It does not keep the values, which may be secret."""

    added: bool
    deleted: bool
    replaces: bool
    of_input: bool = True


class Resource(ABC):
    """A resource type: its token, its inputs, and how its outputs are made."""

    token: ClassVar[str]
    inputs: ClassVar[Mapping[str, Input]]
    outputs: ClassVar[tuple[str, ...]]
    secret_outputs: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def make(self, planned: Mapping[str, Any]) -> Made:
        """Make a new one of known, plain planned inputs. Raises ProviderError when they cannot serve."""

    def rules(self, planned: Mapping[str, Any]) -> Iterator[Failure]:
        """Rules about several inputs together. Values may be UNKNOWN."""
        yield from ()

    def plan(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs with defaults filled in and secret inputs marked."""
        planned: dict[str, Any] = {}
        for name, spec in self.inputs.items():
            value = inputs.get(name, spec.default)
            if value is not None:
                planned[name] = Secret(value) if spec.secret and not isinstance(value, Secret) else value
        return planned

    def planned_outputs(self) -> Mapping[str, Any]:
        """Outputs that every plan sets anew, so that they are known before the resource is made."""
        return {}

    def refreshed(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Outputs that a look at the resource changes (time passes; nothing else can change these)."""
        return {}

    def stale(self, state: Mapping[str, Any], planned: Mapping[str, Any]) -> str | None:
        """Name of the output that makes a replacement necessary although no input changed."""
        return None

    def check(self, inputs: Mapping[str, Any]) -> list[Failure]:
        """All that is wrong with the inputs."""
        bare = plain(inputs)
        failures = list(_check_fields(self.inputs, bare, ""))
        return failures or list(self.rules(plain(self.plan(inputs))))

    def diff(self, state: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Change]:
        """What differs between the recorded state and what the inputs ask for."""
        planned, recorded = plain(self.plan(inputs)), plain(state)
        changes: dict[str, Change] = {}
        for name, spec in self.inputs.items():
            old, new = recorded.get(name, spec.default), planned.get(name)
            if old != new or not is_known(new):
                # From nothing to an empty value or back: recorded, but the value made from it is the same.
                replaces = spec.replaces and bool(_present(old) or _present(new))
                changes[name] = Change(added=old is None, deleted=new is None, replaces=replaces)
        for name, value in self.planned_outputs().items():
            if recorded.get(name, value) != value:
                changes[name] = Change(added=False, deleted=False, replaces=False, of_input=False)
        stale = self.stale(recorded, planned)
        if stale:
            changes[stale] = Change(added=False, deleted=False, replaces=True, of_input=False)
        return changes

    def create(self, inputs: Mapping[str, Any], preview: bool) -> tuple[str, dict[str, Any]]:
        """Id and state of a new one. In a preview nothing is made: the id is empty, computed outputs are unknown."""
        planned = self.plan(inputs)
        if preview:
            unknown = dict.fromkeys(self.outputs, UNKNOWN)
            return "", planned | self._marked(unknown | dict(self.planned_outputs()))
        if not is_known(planned):
            raise ProviderError("an input is still unknown although this is no preview")
        made = self.make(plain(planned))
        return made.id, planned | self._marked(made.outputs)

    def update(self, state: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        """State after a change in place: what was made stays."""
        made = {name: state[name] for name in self.outputs if name in state}
        return self.plan(inputs) | self._marked(made | dict(self.planned_outputs()))

    def read(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """State after a refresh."""
        recorded = {name: state[name] for name in self.outputs if name in state}
        return {**state, **self._marked(recorded), **self.refreshed(plain(state))}

    def _marked(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: Secret(value) if name in self.secret_outputs and not isinstance(value, Secret) else value
            for name, value in outputs.items()
        }


def _present(value: Any) -> bool:
    """False for what means nothing: absent, empty text, list or map. False and 0 do mean something."""
    return isinstance(value, bool | int | Unknown) or bool(value)


def _check_fields(specs: Mapping[str, Input], values: Mapping[str, Any], prefix: str) -> Iterator[Failure]:
    for name in values:
        # Names that begin with "__" are the engine's own remarks (`__defaults`), not inputs.
        if name not in specs and not name.startswith("__"):
            yield Failure(prefix + name, "Invalid or unknown key")
    for name, spec in specs.items():
        value = values.get(name)
        if value is None:
            if spec.required:
                yield Failure(prefix + name, f"Missing required property '{name}'")
        elif not isinstance(value, Unknown):
            yield from _check_value(spec, value, prefix + name)


def _check_value(spec: Input, value: Any, path: str) -> Iterator[Failure]:
    fits = isinstance(value, _TYPES[spec.kind]) and not (spec.kind == "number" and isinstance(value, bool))
    if not fits:
        yield Failure(path, f"Expected a {spec.kind}, got a {type(value).__name__}")
        return
    if spec.kind == "object":
        yield from _check_fields(spec.fields, value, f"{path}.")
    if spec.kind in ("list", "map"):
        items = value.values() if spec.kind == "map" else value
        if not all(isinstance(item, str | Unknown) for item in items):
            yield Failure(path, f"Expected a {spec.kind} of strings")
            return
    if spec.minimum is not None and value < spec.minimum:
        yield Failure(path, f"Attribute {path} value must be at least {spec.minimum}, got: {value}")
    if spec.allowed:
        for item in value if spec.kind == "list" else [value]:
            if not isinstance(item, Unknown) and item not in spec.allowed:
                choices = " ".join(f'"{choice}"' for choice in spec.allowed)
                yield Failure(path, f'Attribute {path} value must be one of: [{choices}], got: "{item}"')
