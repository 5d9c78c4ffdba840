"""What the platform needs of pulumi-random and pulumi-tls, by the real engine.

Where the official plugins are installed, these tests run against them: then they say whether the stand-ins, which
pass them elsewhere, promise too much.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from sandbox import toolchain
from sandbox.engine import Engine, Result, needed_tools

pytestmark = pytest.mark.engine
PROGRAM = Path(__file__).resolve().parent / "programs" / "secrets"
STACK = "test"
GUARD = "RandomId/server_name must not change unless safety.confirm lists it"


class Stack:
    """The program with one stack, on a backend of its own. It needs no cluster."""

    def __init__(self, directory: Path) -> None:
        toolchain.ensure(needed_tools())
        self.engine = Engine(directory, directory / "no-kubeconfig")
        self.providers = self.engine.install()
        self._salt = self.engine.create_stack(PROGRAM, STACK)
        self._file = directory / "Pulumi.test.yaml"
        self.last = ""

    def run(self, operation: str, *arguments: str, **config: str) -> Result:
        values = {f"secrets:{key}": value for key, value in config.items()}
        self._file.write_text(yaml.safe_dump({"encryptionsalt": self._salt, "config": values}))
        log = self._file.with_name("log")
        result = self.engine.run(operation, PROGRAM, STACK, config_file=self._file, arguments=arguments, log=log)
        self.last = result.output
        return result

    def good(self, operation: str, *arguments: str, **config: str) -> Result:
        result = self.run(operation, *arguments, **config)
        assert result.ok, f"pulumi {operation} failed:\n{result.output[-4000:]}"
        assert not result.events.errors, result.events.errors
        return result

    def outputs(self) -> dict[str, Any]:
        arguments = ("stack", "output", "--json", "--show-secrets", "--stack", STACK)
        found: dict[str, Any] = json.loads(self.engine.command(*arguments, cwd=PROGRAM))
        return found


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("engine"))
    preview = made.good("preview")
    assert set(preview.events.changes.values()) == {"create"}, "unknown values must pass a preview"
    made.good("up")
    yield made
    made.good("up", confirmed="true")  # protection is part of the state
    made.good("destroy")


def test_the_engine_has_what_it_asked_for(stack: Stack) -> None:
    versions = {
        resource["type"].rpartition(":")[2]: resource["outputs"]["version"]
        for resource in stack.engine.state_of(PROGRAM, STACK)
        if resource["type"].startswith("pulumi:providers:")
    }
    assert versions == {name: toolchain.sdk_version(f"pulumi-{name}") for name in ("random", "tls")}


def test_no_secret_is_in_the_exported_state_or_on_the_screen(stack: Stack) -> None:
    stack.good("up")
    screen = stack.last
    exported = json.dumps(stack.engine.state_of(PROGRAM, STACK))
    outputs = stack.outputs()
    assert "PRIVATE KEY" not in exported + screen
    hidden = {name: outputs[name] for name in ("password", "hash")}
    for name in ("signing", "authority", "server"):
        # The first line of the body holds the private part, later ones may hold the public part too.
        hidden |= {f"{name}_{form}": outputs[f"{name}_{form}"].splitlines()[1] for form in ("pem", "pkcs8")}
    for name, value in hidden.items():
        assert len(value) >= 48, f"{name} is too short to be looked for"
        assert value not in exported, f"{name} is in the state in plain text"
        assert value not in screen, f"{name} is on the screen"


def test_the_certificate_is_signed_by_the_authority(stack: Stack) -> None:
    outputs = stack.outputs()
    certificate, issuer = (x509.load_pem_x509_certificate(outputs[n].encode()) for n in ("certificate", "issuer"))
    certificate.verify_directly_issued_by(issuer)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["redis.matrix.svc.cluster.local"]


def test_nothing_changes_without_an_edit_or_by_a_refresh(stack: Stack) -> None:
    before = stack.outputs()
    assert stack.good("up", "--expect-no-changes").events.changes == {}
    assert stack.good("refresh", "--expect-no-changes").events.changes == {}
    assert stack.outputs() == before


def test_a_rotation_replaces_the_one_password(stack: Stack) -> None:
    before = stack.outputs()
    result = stack.good("up", rotation="2")
    assert result.events.named("replace") == {"RandomPassword/password"} and len(result.events.changes) == 1
    after = stack.outputs()
    assert {name for name in after if after[name] != before[name]} == {"password", "hash"}


def test_a_guarded_value_stops_the_preview_and_says_why(stack: Stack) -> None:
    for operation in ("preview", "up"):
        result = stack.run(operation, rotation="2", server_name="other.example.org")
        assert not result.ok, "an edit that loses the platform must not pass"
        assert GUARD.partition("/")[2] in result.output and "protect" in result.output
    assert stack.good("up", "--expect-no-changes", rotation="2").events.changes == {}, "nothing was touched"


def test_a_confirmed_edit_of_a_guarded_value_passes(stack: Stack) -> None:
    result = stack.good("up", rotation="2", server_name="other.example.org", confirmed="true")
    assert result.events.named("replace") == {GUARD} and len(result.events.changes) == 1
    stack.good("up", rotation="2", confirmed="true")
    stack.good("up", rotation="2")


def test_a_certificate_whose_renewal_is_due_is_replaced_alone(stack: Stack) -> None:
    before = stack.outputs()
    later = stack.good("up", rotation="2", renew_hours="4000")
    assert later.events.named("update") == {"LocallySignedCert/server"} and len(later.events.changes) == 1
    assert stack.outputs() == before, "a new date of renewal is no new certificate"
    due = stack.good("up", rotation="2", renew_hours="17533")
    assert due.events.named("replace") == {"LocallySignedCert/server"} and len(due.events.changes) == 1
    assert {name for name in before if stack.outputs()[name] != before[name]} == {"certificate"}
    again = stack.good("preview", rotation="2", renew_hours="17533")
    assert again.events.named("replace") == {"LocallySignedCert/server"}, "it is due for as long as the setting says"
    stack.good("up", rotation="2")
