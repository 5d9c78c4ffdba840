"""Starts a provider plugin as Pulumi's engine does and talks to it over gRPC, with the protocol's own constants."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf import json_format, struct_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

BIN = Path(__file__).resolve().parents[2] / "sandbox" / "providers" / "bin"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
# Seconds. The engine waits longer for a plugin; a plugin that needs as long as this is broken.
TIMEOUT = 30


def secret(value: Any) -> dict[str, Any]:
    """A value as the engine marks it secret."""
    return {_SIGNATURE: _SECRET, "value": value}


def is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(_SIGNATURE) == _SECRET


def bare(value: Any) -> Any:
    """A value without its secret mark."""
    return value["value"] if is_secret(value) else value


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(dict(values))
    return made


def _values(properties: struct_pb2.Struct) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(properties)
    return found


@dataclass(frozen=True)
class Diff:
    """What the engine learns: which properties differ, and which of them replace the resource."""

    changed: frozenset[str]
    replacing: frozenset[str]
    kinds: Mapping[str, str]


def environment() -> dict[str, str]:
    """As the engine is started: the virtual environment first on PATH."""
    return os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


class Plugin:
    """A running plugin. `log` collects what it writes to stderr."""

    def __init__(self, package: str, log: Path) -> None:
        self._log = log
        self._errors = log.open("wb")
        self.process = subprocess.Popen(
            [BIN / f"pulumi-resource-{package}", "127.0.0.1:9"],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(),
            start_new_session=True,
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        assert first.strip().isdigit(), f"the first line must be the port, it is {first!r}: {log.read_text()}"
        self._channel = grpc.insecure_channel(f"127.0.0.1:{int(first)}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self._channel)

    def stop(self, signal: int) -> tuple[int, str]:
        """Exit code, and everything that it has written after the port."""
        self._channel.close()
        self.process.send_signal(signal)
        assert self.process.stdout is not None
        code = self.process.wait(TIMEOUT)
        written = self.process.stdout.read().decode()
        self.process.stdout.close()
        self._errors.close()
        return code, written + self._log.read_text()


class Made:
    """One resource and its life in the engine's state."""

    def __init__(self, plugin: Plugin, token: str, inputs: Mapping[str, Any], name: str = "it") -> None:
        # The type of a resource with a parent begins with the parent's type.
        self.urn = f"urn:pulumi:dev::platform::matrix:kube:SecretValues${token}::{name}"
        self._stub = plugin.stub
        self.id = ""
        self.state: dict[str, Any] = {}
        self.inputs: dict[str, Any] = {}
        self.inputs = self.checked(inputs)

    def failures(self, inputs: Mapping[str, Any]) -> list[str]:
        answer = self._stub.Check(provider_pb2.CheckRequest(urn=self.urn, news=struct(inputs)), timeout=TIMEOUT)
        return [failure.reason for failure in answer.failures]

    def checked(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._stub.Check(provider_pb2.CheckRequest(urn=self.urn, news=struct(inputs)), timeout=TIMEOUT)
        assert not answer.failures, f"Check refused: {[failure.reason for failure in answer.failures]}"
        return _values(answer.inputs)

    def create(self) -> "Made":
        request = provider_pb2.CreateRequest(urn=self.urn, properties=struct(self.inputs))
        answer = self._stub.Create(request, timeout=TIMEOUT)
        self.id, self.state = answer.id, _values(answer.properties)
        return self

    def preview(self) -> tuple[str, dict[str, Any]]:
        request = provider_pb2.CreateRequest(urn=self.urn, properties=struct(self.inputs), preview=True)
        answer = self._stub.Create(request, timeout=TIMEOUT)
        return answer.id, _values(answer.properties)

    def diff(self, **changed: Any) -> Diff:
        """Against the inputs with these changed; None takes one away."""
        inputs = {key: value for key, value in {**self.inputs, **changed}.items() if value is not None}
        request = provider_pb2.DiffRequest(
            urn=self.urn, id=self.id, olds=struct(self.state), news=struct(inputs), old_inputs=struct(self.inputs)
        )
        answer = self._stub.Diff(request, timeout=TIMEOUT)
        some = answer.changes == provider_pb2.DiffResponse.DIFF_SOME
        assert some == bool(answer.diffs), "the engine believes `changes`, a person reads `diffs`"
        kinds = {key: provider_pb2.PropertyDiff.Kind.Name(kind.kind) for key, kind in answer.detailedDiff.items()}
        return Diff(frozenset(answer.diffs), frozenset(answer.replaces), kinds)

    def update(self, **changed: Any) -> None:
        inputs = {**self.inputs, **changed}
        request = provider_pb2.UpdateRequest(urn=self.urn, id=self.id, olds=struct(self.state), news=struct(inputs))
        self.state, self.inputs = _values(self._stub.Update(request, timeout=TIMEOUT).properties), inputs

    def read(self) -> dict[str, Any]:
        request = provider_pb2.ReadRequest(
            urn=self.urn, id=self.id, properties=struct(self.state), inputs=struct(self.inputs)
        )
        answer = self._stub.Read(request, timeout=TIMEOUT)
        assert answer.id == self.id, "a read that loses the id deletes the resource from the state"
        return _values(answer.properties)

    def delete(self) -> None:
        request = provider_pb2.DeleteRequest(urn=self.urn, id=self.id, properties=struct(self.state))
        self._stub.Delete(request, timeout=TIMEOUT)
