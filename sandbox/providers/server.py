"""The gRPC side of a stand-in provider: what Pulumi's engine calls, and how the process lives.

`pulumi.provider.experimental` was tried first and lost: in SDK 3.255 its server takes "parent$type" for the type of
a resource that has a parent, cannot send unknown values (so no previews), and has no Handshake.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import grpc  # type: ignore[import-untyped]
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from sandbox.providers.errors import ProviderError
from sandbox.providers.resource import Change, Resource
from sandbox.providers.values import from_wire, to_wire

# The engine's own bound for one message.
_MAX_MESSAGE = 400 * 1024 * 1024
# Seconds. How long a provider outlives an engine that was killed; it does nothing in that time.
_ORPHAN_CHECK = 2.0

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


def _guarded(
    method: Callable[["Provider", _Request], _Answer],
) -> Callable[["Provider", _Request, grpc.ServicerContext], _Answer]:
    """Turn exceptions into words. The text of an unforeseen one is withheld: it may quote a secret."""

    def call(self: "Provider", request: _Request, context: grpc.ServicerContext) -> _Answer:
        try:
            return method(self, request)
        except ProviderError as error:
            _refuse(context, str(error))
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            _refuse(context, f"unforeseen {type(error).__name__} in {where} of the sandbox's stand-in provider")

    return call


def _refuse(context: grpc.ServicerContext, text: str) -> NoReturn:
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
    raise AssertionError("abort always raises")


def _split(urn: str) -> tuple[str, str]:
    """Type token and name of a resource. The type part of a URN begins with the types of its parents."""
    qualified, name = urn.split("::", 3)[2:]
    return qualified.rsplit("$", 1)[-1], name


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider package: `random` or `tls`. Keeps no state; the engine does.

    Survives:  nothing, and need not; when the engine that started it is killed, it ends too
    """

    def __init__(self, package: str, resources: Iterable[Resource]) -> None:
        self._package = package
        self._version = version(f"pulumi-{package}")
        self._resources = {resource.token: resource for resource in resources}

    def _resource(self, urn: str) -> Resource:
        token, _ = _split(urn)
        if token not in self._resources:
            served = ", ".join(sorted(self._resources))
            raise ProviderError(f"the sandbox's stand-in for pulumi-{self._package} serves {served}, but not {token}")
        return self._resources[token]

    # --- the provider as a whole ---

    @_guarded
    def Handshake(  # noqa: N802  (names of the protocol)
        self, request: provider_pb2.ProviderHandshakeRequest
    ) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    @_guarded
    def Attach(self, request: plugin_pb2.PluginAttach) -> empty_pb2.Empty:  # noqa: N802
        return empty_pb2.Empty()

    @_guarded
    def GetPluginInfo(self, request: empty_pb2.Empty) -> plugin_pb2.PluginInfo:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self._version)

    @_guarded
    def GetSchema(self, request: provider_pb2.GetSchemaRequest) -> provider_pb2.GetSchemaResponse:  # noqa: N802
        schema = {
            "name": self._package,
            "version": self._version,
            "description": f"Test equipment: stands in for pulumi-{self._package}.",
            "resources": {token: {} for token in self._resources},
        }
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    @_guarded
    def CheckConfig(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    @_guarded
    def DiffConfig(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:  # noqa: N802
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    @_guarded
    def Configure(self, request: provider_pb2.ConfigureRequest) -> provider_pb2.ConfigureResponse:  # noqa: N802
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @_guarded
    def Cancel(self, request: empty_pb2.Empty) -> empty_pb2.Empty:  # noqa: N802
        """Nothing here takes long enough to be abandoned; the engine ends the process afterwards."""
        return empty_pb2.Empty()

    @_guarded
    def Invoke(self, request: provider_pb2.InvokeRequest) -> provider_pb2.InvokeResponse:  # noqa: N802
        package = self._package
        raise ProviderError(f"the sandbox's stand-in for pulumi-{package} serves no functions, so not {request.tok}")

    # --- one resource ---

    @_guarded
    def Check(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:  # noqa: N802
        resource, (_, name) = self._resource(request.urn), _split(request.urn)
        inputs = from_wire(request.news)
        failures = [provider_pb2.CheckFailure(reason=failure.text(name)) for failure in resource.check(inputs)]
        if failures:
            return provider_pb2.CheckResponse(inputs=request.news, failures=failures)
        given = {key: value for key, value in resource.plan(inputs).items() if key in inputs}
        return provider_pb2.CheckResponse(inputs=to_wire(given))

    @_guarded
    def Diff(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:  # noqa: N802
        changes = self._resource(request.urn).diff(from_wire(request.olds), from_wire(request.news))
        none, some = provider_pb2.DiffResponse.DIFF_NONE, provider_pb2.DiffResponse.DIFF_SOME
        return provider_pb2.DiffResponse(
            changes=some if changes else none,
            diffs=list(changes),
            replaces=[name for name, change in changes.items() if change.replaces],
            detailedDiff={
                name: provider_pb2.PropertyDiff(kind=_kind(change), inputDiff=change.of_input)
                for name, change in changes.items()
            },
            hasDetailedDiff=True,
        )

    @_guarded
    def Create(self, request: provider_pb2.CreateRequest) -> provider_pb2.CreateResponse:  # noqa: N802
        identity, state = self._resource(request.urn).create(from_wire(request.properties), request.preview)
        return provider_pb2.CreateResponse(id=identity, properties=to_wire(state))

    @_guarded
    def Read(self, request: provider_pb2.ReadRequest) -> provider_pb2.ReadResponse:  # noqa: N802
        resource, state = self._resource(request.urn), from_wire(request.properties)
        if not state:
            raise ProviderError("the sandbox's stand-in cannot import or look up; it knows only what it made itself")
        return provider_pb2.ReadResponse(id=request.id, properties=to_wire(resource.read(state)), inputs=request.inputs)

    @_guarded
    def Update(self, request: provider_pb2.UpdateRequest) -> provider_pb2.UpdateResponse:  # noqa: N802
        state = self._resource(request.urn).update(from_wire(request.olds), from_wire(request.news))
        return provider_pb2.UpdateResponse(properties=to_wire(state))

    @_guarded
    def Delete(self, request: provider_pb2.DeleteRequest) -> empty_pb2.Empty:  # noqa: N802
        """Values exist in the engine's state alone: forgetting them there deletes them."""
        self._resource(request.urn)
        return empty_pb2.Empty()


def _kind(change: Change) -> Any:
    name = "ADD" if change.added else "DELETE" if change.deleted else "UPDATE"
    return provider_pb2.PropertyDiff.Kind.Value(f"{name}_REPLACE" if change.replaces else name)


def serve(package: str, resources: Iterable[Resource]) -> None:
    """Listen on a free loopback port, print it on the first line of stdout, serve until the engine is gone."""
    engine = os.getppid()
    terminated = threading.Event()
    # The engine ends its providers by SIGINT. A Ctrl-C does not get here: they are a process group of their own.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: terminated.set())
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE), ("grpc.max_send_message_length", _MAX_MESSAGE)]
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(package, resources), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while not terminated.wait(_ORPHAN_CHECK) and os.getppid() == engine:
        pass
    server.stop(grace=1).wait()
