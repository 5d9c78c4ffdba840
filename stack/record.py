"""Runs the program against an engine that records instead of deploying, and returns what it declared.

The requests are taken as they arrive at the engine's door: parents, dependencies, protection and the like are there
and nowhere else. Every value that a real provider would make up is made up here, readably: secrets are sentinels,
so that a search for them tells where they went.
"""

import asyncio
import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pulumi
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from google.protobuf.struct_pb2 import ListValue, Struct, Value  # type: ignore[import-untyped]
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import Settings, configure
from pulumi.runtime.stack import run_in_stack

from stack.build import build
from stack.load import given_paths
from stack.plan import StackPlan, make_plan
from stack.resources import Path, Recording, Resource
from stack.settings import StackSettings

PROJECT = "synapse-platform"

# Marks of Pulumi's wire format (sdk: pulumi.runtime.rpc).
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

# RFC 8410: what precedes the 32 bytes of the seed in an ed25519 key's PKCS#8 form.
_ED25519 = bytes.fromhex("302e020100300506032b657004220420")


def _decode(value: Value, path: Path, secrets: set[Path]) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        fields = value.struct_value.fields
        if _SIGNATURE in fields:
            if fields[_SIGNATURE].string_value == _SECRET:
                secrets.add(path)
                return _decode(fields["value"], path, secrets)
            if fields[_SIGNATURE].string_value == _RESOURCE:
                return fields["urn"].string_value
            return {"(asset)": sorted(fields)}
        return {key: _decode(item, (*path, key), secrets) for key, item in fields.items()}
    if kind == "list_value":
        return [_decode(item, (*path, i), secrets) for i, item in enumerate(value.list_value.values)]
    if kind == "number_value":
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    if kind == "string_value":
        return "(unknown)" if value.string_value == _UNKNOWN else value.string_value
    return value.bool_value if kind == "bool_value" else None


def decode(message: Struct) -> tuple[dict[str, Any], frozenset[Path]]:
    """A message's properties as plain data, and the paths at which they were marked secret."""
    secrets: set[Path] = set()
    plain = {key: _decode(item, (key,), secrets) for key, item in message.fields.items()}
    return plain, frozenset(secrets)


def _encode(value: Any) -> Value:
    if isinstance(value, Mapping):
        return Value(struct_value=Struct(fields={key: _encode(item) for key, item in value.items()}))
    if isinstance(value, (list, tuple)):
        return Value(list_value=ListValue(values=[_encode(item) for item in value]))
    if isinstance(value, bool):
        return Value(bool_value=value)
    return Value(number_value=value) if isinstance(value, (int, float)) else Value(string_value=str(value))


def _secret(value: str) -> Value:
    return Value(
        struct_value=Struct(fields={_SIGNATURE: Value(string_value=_SECRET), "value": Value(string_value=value)})
    )


def _sentinel(name: str, inputs: Mapping[str, Any]) -> str:
    """Letters and digits: a secret's identity in words, then a hash that changes when a real one would."""
    words = "".join(c for c in name.title() if c.isalnum())
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:8]
    return f"SENTINEL{words}X{digest}"


def made_up(kind: str, name: str, inputs: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Outputs (plain, secret) that a provider would add to this resource's inputs."""
    sentinel = _sentinel(name, inputs)
    digest = hashlib.sha256(sentinel.encode()).digest()
    match kind:
        case "random:index/randomPassword:RandomPassword":
            return {}, {"result": sentinel.ljust(int(inputs["length"]), "x"), "bcryptHash": f"$2a$10${sentinel}"}
        case "random:index/randomBytes:RandomBytes":
            data = sentinel.encode().ljust(int(inputs["length"]), b"x")[: int(inputs["length"])]
            return {}, {"base64": base64.b64encode(data).decode(), "hex": data.hex()}
        case "random:index/randomId:RandomId":
            data = digest[: int(inputs["byteLength"])]
            url = base64.urlsafe_b64encode(data).decode().rstrip("=")
            return {"hex": data.hex(), "dec": str(int.from_bytes(data)), "b64Url": url, "b64Std": url}, {}
        case "random:index/randomString:RandomString" | "random:index/randomUuid:RandomUuid":
            return {"result": digest.hex()[: int(inputs.get("length", 36))]}, {}
        case "tls:index/privateKey:PrivateKey":
            # Its secret half is the seed; the public half must differ, or a public key would look like a leak.
            seed = sentinel.encode().ljust(32, b"x")[:24] + digest[:8]
            body = base64.b64encode(_ED25519 + seed).decode()
            pem = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
            public = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(digest).decode()}\n-----END PUBLIC KEY-----\n"
            private = dict.fromkeys(("privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"), pem)
            return {"publicKeyPem": public, "publicKeyOpenssh": f"ssh {digest.hex()}"}, private
        case "tls:index/certRequest:CertRequest":
            return {"certRequestPem": _pem("CERTIFICATE REQUEST", digest)}, {}
        case "tls:index/selfSignedCert:SelfSignedCert" | "tls:index/locallySignedCert:LocallySignedCert":
            return {"certPem": _pem("CERTIFICATE", digest)}, {}
        case _ if kind.split(":")[0] in ("random", "tls"):
            raise NotImplementedError(
                f"the recording engine does not know what {kind} makes; tell it in stack/record.py"
            )
        case _:
            return {}, {}


def _pem(what: str, data: bytes) -> str:
    return f"-----BEGIN {what}-----\n{base64.b64encode(data).decode()}\n-----END {what}-----\n"


def _needles(value: str) -> Iterator[str]:
    """What to look for, to find a secret again: a key's body, an ed25519 seed as Synapse writes it, or the text."""
    if value.startswith("-----BEGIN"):
        body = "".join(value.splitlines()[1:-1])
        yield body
        yield base64.b64encode(base64.b64decode(body)[-32:]).decode().rstrip("=")
    else:
        yield value


class _NoMocks(Mocks):
    """The monitor below answers by itself; a call of a provider's function is something that we do not do."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        raise NotImplementedError

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise NotImplementedError(f"{args.token}: a program of ours asks the cluster nothing")


class _Recorder(MockMonitor):
    """An engine that says yes to everything and remembers it."""

    def __init__(self) -> None:
        super().__init__(_NoMocks())
        self.found: dict[str, Resource] = {}
        self.outputs: dict[str, dict[str, Any]] = {}
        self.sentinels: dict[str, str] = {}

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine makes it: with the types of all parents but the stack."""
        chain = parent.split("::")[2] if parent else ""
        qualified = f"{chain}${type_}" if chain and chain != "pulumi:pulumi:Stack" else type_
        return "::".join([f"urn:pulumi:{pulumi.get_stack()}", pulumi.get_project(), qualified, name])

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's own name
        urn = self.make_urn(request.parent, request.type, request.name)
        if urn in self.found:
            raise ValueError(f"declared twice: {urn}")
        inputs, secrets = decode(request.object)
        self.found[urn] = Resource(
            urn=urn,
            type=request.type,
            name=request.name,
            parent=request.parent,
            custom=request.custom,
            inputs=inputs,
            secrets=secrets,
            dependencies=tuple(sorted(request.dependencies)),
            property_dependencies={
                key: tuple(sorted(value.urns)) for key, value in request.propertyDependencies.items() if value.urns
            },
            provider=request.provider,
            protect=request.protect,
            retain_on_delete=request.retainOnDelete,
            delete_before_replace=request.deleteBeforeReplace,
            ignore_changes=tuple(request.ignoreChanges),
            replace_on_changes=tuple(request.replaceOnChanges),
            replace_with=tuple(sorted(request.replace_with)),
            aliases=tuple(alias.urn or alias.spec.name for alias in request.aliases),
        )
        plain, secret = made_up(request.type, request.name, inputs)
        for value in secret.values():
            self.sentinels.update(dict.fromkeys(_needles(value), request.name))
        state = Struct()
        state.CopyFrom(request.object)
        for key, text in plain.items():
            state.fields[key].CopyFrom(_encode(text))
        for key, text in secret.items():
            state.fields[key].CopyFrom(_secret(text))
        metadata = inputs.get("metadata") or {}
        identity = (
            "/".join(filter(None, (metadata.get("namespace"), metadata.get("name")))) if metadata else request.name
        )
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identity if request.custom else "", object=state)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        self.outputs[request.urn] = decode(request.outputs)[0]
        return empty_pb2.Empty()


class _InOrder(ThreadPoolExecutor):
    """Answers each request at once, on the caller's thread: the same order every time, and no switching."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


def record_program(program: Callable[[], None], stack: str = "test") -> Recording:
    """Run any Pulumi program. It has its own thread and event loop, so that nothing of it is left behind."""
    recorder = _Recorder()
    failures: list[BaseException] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(_InOrder(max_workers=1))
        # One failure makes many (whoever waits for the failed one); the first is raised below, the rest is noise.
        loop.set_exception_handler(lambda *_: None)
        await run_in_stack(program)

    def thread() -> None:
        try:
            # Not the mocks' own settings: those share one set of outstanding outputs with every earlier run.
            configure(Settings(PROJECT, stack, monitor=recorder, dry_run=False))
            asyncio.run(run())
        except BaseException as error:  # handed to the caller, on the caller's thread
            failures.append(error)

    worker = threading.Thread(target=thread, name=f"record {stack}")
    worker.start()
    worker.join()
    if failures:
        raise failures[0]
    found = tuple(sorted(recorder.found.values(), key=lambda resource: resource.urn))
    return Recording(stack=stack, resources=found, outputs=recorder.outputs, sentinels=recorder.sentinels)


def record(plan: StackPlan) -> Recording:
    """Everything that a planned stack declares. Secrets that an operator gives are sentinels as well."""
    sentinels = {path: _sentinel(path, {}) for path in given_paths(plan.settings)}

    def program() -> None:
        build(plan, {path: pulumi.Output.secret(value) for path, value in sentinels.items()})

    found = record_program(program, plan.platform.stack)
    given = {value: f"matrix:stack.{path}" for path, value in sentinels.items()}
    return Recording(
        stack=found.stack, resources=found.resources, outputs=found.outputs, sentinels={**found.sentinels, **given}
    )


def record_settings(settings: StackSettings, stack: str) -> Recording:
    """Plan and record; StackError when the settings cannot be planned."""
    return record(make_plan(settings, stack))
