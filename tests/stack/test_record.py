"""The recording engine: what tests and `explain --against` build on must itself be right."""

import base64
from functools import partial

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random
import pulumi_tls as tls
import pytest
from pulumi import ResourceOptions

from kube.component import Component
from stack.record import record_program
from stack.resources import Resource


class _Part(Component):
    """A component for this test.

    Pulumi type:  matrix:test:_Part
    """

    def __init__(self) -> None:
        super().__init__("matrix:test:Part", "part", None, None)
        password = random.RandomPassword("password", length=40, opts=self.child())
        self.secret = k8s.core.v1.Secret(
            "secret",
            metadata={"name": "secret", "namespace": "ns"},
            string_data={"key": password.result.apply(lambda text: f"<{text}>")},
            opts=self.child(protect=True, ignore_changes=["metadata.labels"]),
        )
        k8s.core.v1.ConfigMap(
            "config",
            metadata={"name": "config", "namespace": "ns"},
            data={"leak": password.result},
            opts=self.child(depends_on=[self.secret]),
        )
        self.register_outputs({"answer": 42})


def _program() -> None:
    _Part()
    pulumi.export("hello", "world")


def _named(resources: tuple[Resource, ...], name: str) -> Resource:
    return next(r for r in resources if r.name == name)


def test_requests_are_recorded_with_parents_dependencies_and_options() -> None:
    found = record_program(_program)
    secret, config = _named(found.resources, "secret"), _named(found.resources, "config")
    assert found.by_urn[secret.parent].type == "matrix:test:Part"
    assert secret.urn == "urn:pulumi:test::synapse-platform::matrix:test:Part$kubernetes:core/v1:Secret::secret"
    assert (secret.protect, secret.retain_on_delete, secret.ignore_changes) == (True, True, ("metadata.labels",))
    assert secret.urn in config.dependencies
    assert _named(found.resources, "password").urn in config.property_dependencies["data"]
    assert str(secret) == "Secret ns/secret"


def test_secrets_arrive_through_apply_unwrapped_and_marked() -> None:
    found = record_program(_program)
    secret, config = _named(found.resources, "secret"), _named(found.resources, "config")
    value = secret.inputs["stringData"]["key"]
    assert value.startswith("<SENTINELPasswordX") and len(value) == 42
    assert value.strip("<>") in found.sentinels
    assert secret.secrets, "the engine would keep it encrypted"
    assert config.inputs["data"]["leak"] in found.sentinels, "a leak is found by its value"


def test_outputs_of_components_and_of_the_stack_are_recorded() -> None:
    found = record_program(_program)
    assert found.exports == {"hello": "world"}
    assert {"answer": 42} in found.outputs.values()


def test_a_key_is_a_key_and_its_seed_is_a_sentinel() -> None:
    def program() -> None:
        key = tls.PrivateKey("signing", algorithm="ED25519")
        seed = key.private_key_pem_pkcs8.apply(
            lambda pem: base64.b64encode(base64.b64decode(pem.splitlines()[1])[-32:]).decode().rstrip("=")
        )
        k8s.core.v1.Secret("s", metadata={"name": "s"}, string_data={"seed": seed, "public": key.public_key_pem})

    found = record_program(program)
    data = _named(found.resources, "s").inputs["stringData"]
    assert data["seed"] in found.sentinels
    assert not any(needle in data["public"] for needle in found.sentinels), "a public key is no leak"


def test_another_input_makes_another_secret() -> None:
    def program(rotation: str) -> None:
        random.RandomPassword("p", length=40, keepers={"rotation": rotation})

    one, two = (set(record_program(partial(program, r)).sentinels) for r in ("1", "2"))
    assert not one & two, "a rotated secret is a new one"


def test_programs_leave_nothing_behind_for_the_next_one() -> None:
    first, second = record_program(_program), record_program(_program)
    assert first.resources == second.resources


def test_a_failing_program_fails_here_with_its_own_error() -> None:
    def program() -> None:
        raise LookupError("on purpose")

    with pytest.raises(LookupError, match="on purpose"):
        record_program(program)


def test_a_failing_apply_fails_the_recording() -> None:
    def fail(value: str) -> str:
        raise LookupError("in an apply")

    def program() -> None:
        password = random.RandomPassword("p", length=40)
        k8s.core.v1.ConfigMap("c", metadata={"name": "c"}, data={"x": password.result.apply(fail)})

    with pytest.raises(LookupError, match="in an apply"):
        record_program(program)


def test_two_resources_of_one_name_are_refused_as_the_engine_does() -> None:
    def program() -> None:
        random.RandomPassword("p", length=40)
        random.RandomPassword("p", length=41)

    with pytest.raises(Exception, match="declared twice"):
        record_program(program)


def test_a_call_of_a_provider_is_refused() -> None:
    def program() -> None:
        k8s.core.v1.Secret("s", metadata={"name": "s"}, opts=ResourceOptions())
        pulumi.runtime.invoke("kubernetes:some:function", {})

    with pytest.raises(Exception, match="asks the cluster nothing"):
        record_program(program)


def test_an_unknown_secret_maker_is_told() -> None:
    def program() -> None:
        random.RandomShuffle("s", inputs=["a"])

    with pytest.raises(Exception, match="does not know what random:index/randomShuffle"):
        record_program(program)
