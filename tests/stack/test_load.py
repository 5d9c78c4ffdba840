"""The running stack's settings out of Pulumi's config: what is secret becomes an Output, and nothing else knows it."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest
from pulumi.runtime.config import set_all_config

from kube.errors import StackError
from stack.load import CONFIG_KEY, given_paths, load, stack_file
from stack.record import record_program
from stack.settings import StackSettings
from tests.support.variants import STACKS, committed, merged, settings_of

_USERS = settings_of("external-s3").minio.external
SECRET = "correct horse battery staple"


def _external() -> Mapping[str, Any]:
    """What the engine hands to the program: the committed stack with keys of an external store, decrypted."""
    assert _USERS is not None
    users = {
        name: {"bucket": user.bucket, "access_key": user.access_key, "secret_key": f"{SECRET} {name}"}
        for name, user in _USERS.users.items()
    }
    external = {"endpoint": "https://s3.intern:9000", "users": users}
    result: Mapping[str, Any] = merged(committed("small"), {"minio": {"backend": "external", "external": external}})
    return result


def _loaded(raw: Mapping[str, Any] | None, *, encrypted: bool) -> tuple[StackSettings, Mapping[str, Any], Any]:
    """Settings, what was given, and what a Secret made of it holds, as the engine receives it."""
    seen: list[Any] = []

    def program() -> None:
        values = {CONFIG_KEY: json.dumps(raw)} if raw is not None else {}
        set_all_config(values, [CONFIG_KEY] if encrypted else [])
        settings, given = load(pulumi.Config("matrix"), "small")
        k8s.core.v1.ConfigMap("c", metadata={"name": "c"}, data=dict(given))
        seen.append((settings, given))

    try:
        found = record_program(program)
    finally:
        set_all_config({})
    settings, given = seen[0]
    return settings, given, next(found.of_kind("ConfigMap"))


def test_secrets_become_secret_outputs_under_their_key_paths() -> None:
    settings, given, config = _loaded(_external(), encrypted=True)
    assert set(given) == set(given_paths(settings)), "each secret leaf, and nothing else"
    assert "minio.external.users.loki.secret_key" in given
    assert config.inputs["data"]["minio.external.users.loki.secret_key"] == f"{SECRET} loki"
    assert config.secrets, "the engine keeps encrypted what is made of them"


def test_settings_do_not_know_a_secret() -> None:
    settings, _, _ = _loaded(_external(), encrypted=True)
    assert SECRET not in repr(settings) and SECRET not in settings.model_dump_json()


def test_a_secret_in_a_file_without_anything_encrypted_is_refused_and_not_repeated() -> None:
    with pytest.raises(StackError) as caught:
        _loaded(_external(), encrypted=False)
    assert "must not stand here in clear" in str(caught.value) and SECRET not in str(caught.value)


def test_a_stack_without_its_key_is_told_in_words() -> None:
    with pytest.raises(StackError, match="has no `config:` with the key `matrix:stack`"):
        _loaded(None, encrypted=False)


@pytest.mark.parametrize("stack", STACKS)
def test_the_engine_and_the_command_line_read_the_committed_files_alike(stack: str) -> None:
    settings, given, _ = _loaded(committed(stack), encrypted=False)
    assert settings == settings_of(stack) and not given


@pytest.mark.parametrize("stack", STACKS)
def test_committed_files_have_the_same_keys_and_no_secret(stack: str) -> None:
    def keys(value: Any) -> Any:
        # The size of a machine's disk is informative, and not told everywhere.
        told = value.keys() - {"disk"} if isinstance(value, dict) else ()
        return {key: keys(value[key]) for key in told}

    assert keys(committed(stack)) == keys(committed("small")), "what a person must decide is the same at every scale"
    assert not given_paths(settings_of(stack))


def test_a_name_is_a_committed_file_and_a_file_stays_what_it_is() -> None:
    assert stack_file("large").name == "Pulumi.large.yaml" and stack_file("large").is_file()
    assert str(stack_file("elsewhere/my.yaml")) == "elsewhere/my.yaml"
