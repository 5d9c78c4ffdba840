"""The stand-ins for pulumi-random and pulumi-tls, as processes and over their real protocol.

Keys and certificates are in test_provider_certificates.py.
"""

import base64
import inspect
import os
import re
import signal
import string
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bcrypt
import grpc  # type: ignore[import-untyped]
import pulumi_random
import pulumi_tls
import pytest
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2

from sandbox.providers import certificates, keys, randomness
from sandbox.providers.resource import Resource
from tests.sandbox.plugins import BIN, TIMEOUT, UNKNOWN, Made, Plugin, bare, environment, is_secret, secret, struct

PASSWORD = "random:index/randomPassword:RandomPassword"
STRING = "random:index/randomString:RandomString"
BYTES = "random:index/randomBytes:RandomBytes"
ID = "random:index/randomId:RandomId"
UUID = "random:index/randomUuid:RandomUuid"
_SERVED = [*randomness.RESOURCES, keys.PrivateKeyResource(), *certificates.RESOURCES]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@pytest.mark.parametrize("served", _SERVED, ids=lambda served: served.token.rsplit(":", 1)[-1])
def test_a_served_type_has_the_inputs_outputs_and_secrets_of_its_sdk(served: Resource) -> None:
    package = pulumi_random if served.token.startswith("random") else pulumi_tls
    sdk = getattr(package, served.token.rsplit(":", 1)[-1])
    given = set(inspect.signature(sdk._internal_init).parameters) - {"__self__", "resource_name", "opts", "__props__"}
    # Write-only inputs are not served; the README says so.
    inputs = {_camel(name) for name in given if not re.search(r"_wo(_version)?$", name)}
    assert set(served.inputs) == inputs, "a program must not need to know which provider it talks to"
    properties = {_camel(name) for name, value in vars(sdk).items() if isinstance(value, property)}
    outputs = {name for name in properties if not re.search(r"Wo(Version)?$", name)} - inputs
    assert set(served.outputs) == outputs, "an output that is never set would be unknown for ever"
    source = re.search(r"additional_secret_outputs=\[(.*?)\]", inspect.getsource(sdk._internal_init))
    secrets = set(re.findall(r'"(\w+)"', source[1])) if source else set()
    marked = served.secret_outputs | {name for name, spec in served.inputs.items() if spec.secret}
    assert marked == {name for name in secrets if not name.endswith("Wo")}, "state would hold a secret in plain text"


@pytest.mark.parametrize("package", ["random", "tls"])
def test_the_engine_finds_what_it_asks_for_first(package: str, request: pytest.FixtureRequest) -> None:
    stub = request.getfixturevalue(package).stub
    shaken = stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:9"), timeout=TIMEOUT)
    assert shaken.accept_secrets, "otherwise the engine would send secrets without their mark, and lose it"
    info = stub.GetPluginInfo(empty_pb2.Empty(), timeout=TIMEOUT)
    assert info.version == version(f"pulumi-{package}"), "the engine wants the version of the SDK"
    configured = stub.Configure(provider_pb2.ConfigureRequest(acceptSecrets=True), timeout=TIMEOUT)
    assert configured.acceptSecrets and configured.supportsPreview
    schema = stub.GetSchema(provider_pb2.GetSchemaRequest(), timeout=TIMEOUT).schema
    assert f'"name": "{package}"' in schema
    stub.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:9"), timeout=TIMEOUT)
    news = struct({"version": info.version})
    assert stub.CheckConfig(provider_pb2.CheckRequest(news=news), timeout=TIMEOUT).inputs == news
    unchanged = stub.DiffConfig(provider_pb2.DiffRequest(olds=news, news=news), timeout=TIMEOUT)
    assert unchanged.changes == provider_pb2.DiffResponse.DIFF_NONE
    stub.Cancel(empty_pb2.Empty(), timeout=TIMEOUT)
    assert stub.GetPluginInfo(empty_pb2.Empty(), timeout=TIMEOUT), "what has begun goes on after a cancellation"


def test_a_password_lives_from_check_to_delete(random: Plugin) -> None:
    made = Made(random, PASSWORD, {"length": 48, "special": False}).create()
    assert made.id == "none", "ids are never encrypted, so the id must not be the password"
    assert is_secret(made.state["result"]) and is_secret(made.state["bcryptHash"])
    password = bare(made.state["result"])
    assert len(password) == 48 and set(password) <= set(string.ascii_letters + string.digits)
    assert bcrypt.checkpw(password.encode(), bare(made.state["bcryptHash"]).encode())
    assert made.diff().changed == frozenset(), "the same inputs must give no change"
    assert made.read() == made.state, "a refresh must not change the password"
    made.delete()


def test_a_hash_of_a_long_password_is_that_of_its_first_72_bytes(random: Plugin) -> None:
    made = Made(random, PASSWORD, {"length": 100}).create()
    assert bcrypt.checkpw(bare(made.state["result"]).encode()[:72], bare(made.state["bcryptHash"]).encode())


def test_two_resources_never_hold_the_same_value(random: Plugin) -> None:
    values = {bare(Made(random, BYTES, {"length": 16}).create().state["hex"]) for _ in range(20)}
    assert len(values) == 20


def test_defaults_are_in_the_state_and_stating_them_changes_nothing(random: Plugin) -> None:
    made = Made(random, PASSWORD, {"length": 20}).create()
    assert made.inputs == {"length": 20}, "defaults belong to the state, as with the official provider"
    assert made.state["upper"] is True and made.state["minLower"] == 0
    assert made.diff(upper=True, numeric=True, number=True, minLower=0).changed == frozenset()


@pytest.mark.parametrize(
    ("token", "inputs", "change"),
    [
        (PASSWORD, {"length": 20, "keepers": {"rotation": "1"}}, {"keepers": {"rotation": "2"}}),
        (PASSWORD, {"length": 20}, {"keepers": {"rotation": "1"}}),
        (PASSWORD, {"length": 20, "keepers": {"rotation": "1"}}, {"keepers": None}),
        (PASSWORD, {"length": 20}, {"length": 21}),
        (STRING, {"length": 20}, {"overrideSpecial": "_"}),
        (STRING, {"length": 20}, {"minUpper": 1}),
        (BYTES, {"length": 20, "keepers": {"a": "1"}}, {"keepers": {"a": "1", "b": "2"}}),
        (ID, {"byteLength": 8, "keepers": {"server_name": "a.example"}}, {"keepers": {"server_name": "b.example"}}),
        (ID, {"byteLength": 8}, {"prefix": "x-"}),
        (UUID, {"keepers": {"a": "1"}}, {"keepers": {"a": "2"}}),
    ],
)
def test_a_change_of_what_the_value_was_made_from_replaces_it(
    random: Plugin, token: str, inputs: dict[str, Any], change: dict[str, Any]
) -> None:
    made = Made(random, token, inputs).create()
    found = made.diff(**change)
    assert found.replacing == found.changed == set(change)
    assert all(kind.endswith("_REPLACE") for kind in found.kinds.values()), f"a person reads {found.kinds}"


def test_digits_have_two_names_and_replace_only_once(random: Plugin) -> None:
    made = Made(random, STRING, {"length": 20}).create()
    assert made.diff(numeric=False).replacing == {"number", "numeric"}
    without = Made(random, STRING, {"length": 40, "number": False}).create()
    assert not set(without.state["result"]) & set(string.digits)
    assert without.diff(number=None, numeric=False).changed == frozenset(), "it is the same wish"


def test_an_empty_keeper_is_recorded_but_keeps_the_value(random: Plugin) -> None:
    made = Made(random, PASSWORD, {"length": 20}).create()
    before = made.state["result"]
    assert made.diff(keepers={}).replacing == frozenset()
    made.update(keepers={})
    assert made.state["result"] == before and is_secret(made.state["result"])


def test_classes_of_characters_and_their_minima_are_kept(random: Plugin) -> None:
    wish = {"length": 12, "minUpper": 3, "minLower": 3, "minNumeric": 3, "minSpecial": 3, "overrideSpecial": "_-"}
    for _ in range(20):
        text = Made(random, STRING, wish).create().state["result"]
        counted = [sum(c in pool for c in text) for pool in (string.ascii_uppercase, string.ascii_lowercase)]
        counted += [sum(c in pool for c in text) for pool in (string.digits, "_-")]
        assert counted == [3, 3, 3, 3], text


def test_bytes_have_two_notations_and_their_id_is_the_value(random: Plugin) -> None:
    made = Made(random, BYTES, {"length": 32}).create()
    assert is_secret(made.state["base64"]) and is_secret(made.state["hex"])
    value = base64.b64decode(bare(made.state["base64"]), validate=True)
    assert len(value) == 32 and value.hex() == bare(made.state["hex"])
    assert made.id == bare(made.state["base64"]), "the official id; who keeps secrets in RandomBytes must learn it here"


def test_an_id_has_four_notations_after_its_prefix(random: Plugin) -> None:
    state = (made := Made(random, ID, {"byteLength": 8, "prefix": "p-"}).create()).state
    value = bytes.fromhex(state["hex"].removeprefix("p-"))
    assert len(value) == 8 and all(state[name].startswith("p-") for name in ("dec", "b64Std", "b64Url"))
    assert int(state["dec"].removeprefix("p-")) == int.from_bytes(value, "big")
    assert base64.b64decode(state["b64Std"].removeprefix("p-")) == value
    assert base64.urlsafe_b64decode(made.id + "=") == value, "the id has no prefix and no padding"


def test_a_uuid_is_its_own_id(random: Plugin) -> None:
    made = Made(random, UUID, {}).create()
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made.id) and made.state["result"] == made.id


def test_a_preview_makes_nothing_and_says_so(random: Plugin) -> None:
    identity, state = Made(random, PASSWORD, {"length": 20}).preview()
    assert identity == "" and bare(state["result"]) == UNKNOWN and bare(state["bcryptHash"]) == UNKNOWN
    assert is_secret(state["result"]), "what becomes of it must be secret in the preview already"
    assert state["length"] == 20


def test_unknown_inputs_pass_a_preview_and_count_as_changes(random: Plugin) -> None:
    made = Made(random, PASSWORD, {"length": UNKNOWN, "keepers": {"a": UNKNOWN}})
    assert made.preview()[1]["length"] == UNKNOWN
    existing = Made(random, PASSWORD, {"length": 20, "keepers": {"a": "1"}}).create()
    assert existing.diff(keepers={"a": UNKNOWN}).replacing == {"keepers"}
    with pytest.raises(grpc.RpcError, match="unknown although this is no preview"):
        made.create()


def test_a_secret_input_stays_secret_in_the_state(random: Plugin) -> None:
    made = Made(random, PASSWORD, {"length": 20, "keepers": {"a": secret("s3cret")}}).create()
    assert made.inputs["keepers"]["a"] == secret("s3cret") == made.state["keepers"]["a"]
    assert made.diff().changed == frozenset() == made.diff(keepers={"a": "s3cret"}).changed
    whole = Made(random, PASSWORD, {"length": 20, "keepers": secret({"a": "s3cret"})}).create()
    assert whole.state["keepers"] == secret({"a": "s3cret"})


@pytest.mark.parametrize(
    ("token", "inputs", "words"),
    [
        (PASSWORD, {"length": 9, "lenght": 9}, "Invalid or unknown key. Examine values at 'it.lenght'."),
        (PASSWORD, {}, "Missing required property 'length'. Examine values at 'it.length'."),
        (PASSWORD, {"length": 0}, "Attribute length value must be at least 1, got: 0. Examine values at 'it.length'."),
        (PASSWORD, {"length": "9"}, "Expected a number, got a str. Examine values at 'it.length'."),
        (PASSWORD, {"length": True}, "Expected a number, got a bool. Examine values at 'it.length'."),
        (ID, {"byteLength": 8, "keepers": {"a": 1}}, "Expected a map of strings. Examine values at 'it.keepers'."),
        (PASSWORD, {"length": 3, "minUpper": 2, "minLower": 2}, "must be at least sum of min_upper + min_lower"),
        (STRING, {"length": 9, "special": False, "upper": False, "lower": False, "number": False}, "At least one of"),
    ],
)
def test_what_is_wrong_with_inputs_is_said_in_words(
    random: Plugin, token: str, inputs: dict[str, Any], words: str
) -> None:
    correct = Made(random, token, {"byteLength": 8} if token == ID else {"length": 9})
    found = correct.failures(inputs)
    assert len(found) == 1 and words in found[0], found


def test_what_is_not_served_is_refused_in_words(random: Plugin) -> None:
    with pytest.raises(grpc.RpcError, match=r"serves .*RandomPassword.*, but not random:index/randomPet:RandomPet"):
        Made(random, "random:index/randomPet:RandomPet", {})
    with pytest.raises(grpc.RpcError, match="serves no functions"):
        random.stub.Invoke(provider_pb2.InvokeRequest(tok="random:index:f"), timeout=TIMEOUT)
    with pytest.raises(grpc.RpcError, match="cannot import"):
        Made(random, PASSWORD, {"length": 9}).read()


def test_a_provider_ends_soon_after_an_engine_that_was_killed(tmp_path: Path) -> None:
    """Otherwise every interrupted test run would leave two processes on the machine."""
    engine = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True).wait()"
    plugin = tmp_path / "pid"
    start = f'echo $$ > "{plugin}"; exec "$0" "$@"'
    command = [sys.executable, "-c", engine, "sh", "-c", start, str(BIN / "pulumi-resource-random"), "127.0.0.1:9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline().strip().isdigit()
        number = int(plugin.read_text())
        try:
            killed.kill()
            killed.wait()
            # The pipe ends when the last process that holds it has ended.
            started = time.monotonic()
            os.set_blocking(killed.stdout.fileno(), False)
            while killed.stdout.read() != b"":
                assert time.monotonic() - started < TIMEOUT, "the provider outlives its engine"
                time.sleep(0.05)
        except AssertionError:
            os.kill(number, signal.SIGKILL)
            raise
