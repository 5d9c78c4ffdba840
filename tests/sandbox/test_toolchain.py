"""Building: what is pinned, what a failure says, and that a stale record hurts nobody."""

import os
import subprocess
from pathlib import Path

import pytest

from sandbox import toolchain
from sandbox.errors import SandboxError
from sandbox.process import Identity


def _go_on_path(directory: Path, script: str) -> str:
    program = directory / "go"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{directory}:/usr/bin:/bin"


@pytest.fixture(autouse=True)
def _fresh_answers() -> None:
    toolchain.go_version.cache_clear()


def test_every_program_has_a_module_with_pinned_sums() -> None:
    for module in {tool.module for tool in toolchain.tools().values()}:
        for name in ("go.mod", "go.sum"):
            assert (toolchain.MODULES / module / name).is_file(), f"{module} must pin what it downloads ({name})"


def test_every_module_of_definitions_is_pinned() -> None:
    for path in toolchain.CRD_DIRECTORIES:
        assert toolchain.pinned("crds", path).startswith("v")


def test_the_provider_is_built_for_the_sdk_in_the_lock() -> None:
    flags = toolchain.tools()["pulumi-resource-kubernetes"].ldflags
    assert flags == f"-X main.version={toolchain.sdk_version('pulumi-kubernetes')}"


def test_missing_go_is_said_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="Go toolchain is not installed") as refused:
        toolchain.go_version()
    assert "go.dev/dl" in refused.value.text()


def test_an_old_go_is_said_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = "echo 'go: go.mod requires go >= 1.26.0 (running go 1.19; GOTOOLCHAIN=local)' >&2; exit 1"
    monkeypatch.setenv("PATH", _go_on_path(tmp_path, script))
    with pytest.raises(SandboxError, match="cannot build the pinned programs") as refused:
        toolchain.go_version()
    assert "requires go >= 1.26.0" in refused.value.text()


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("dial tcp: lookup proxy.example: no such host", "cannot reach its module registry"),
        ("proxy.example/x/@v/v1.zip: 403 Forbidden", "does not serve a pinned module"),
        ("verifying x: checksum mismatch", "not what go.sum pins"),
        ("write /tmp/x: no space left on device", "disk is full"),
    ],
)
def test_a_failed_build_names_step_cause_and_log(
    output: str, advice: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = f'if [ "$1" = env ]; then echo go1.99; else echo "{output}" >&2; exit 1; fi'
    monkeypatch.setenv("PATH", _go_on_path(tmp_path, script))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(SandboxError) as refused:
        toolchain.ensure(["kwok"])
    text = refused.value.text()
    assert "building kwok failed" in text and output in text and advice in text
    assert str(tmp_path / "cache") in text, "the log's path is given"
    assert not any((tmp_path / "cache").glob("**/tools/kwok-*")), "nothing half built stays"


def test_a_program_is_built_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    write = 'while [ "$1" != -o ]; do shift; done; echo binary > "$2"'
    script = f'if [ "$1" = env ]; then echo go1.99; else echo call >> {calls}; {write}; fi'
    monkeypatch.setenv("PATH", _go_on_path(tmp_path, script))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    toolchain.ensure(["kwok"])
    toolchain.ensure(["kwok"])
    assert calls.read_text() == "call\n"
    assert toolchain.binary("kwok").read_text() == "binary\n"


def test_a_process_is_known_by_pid_and_start_time() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        identity = Identity.of(child.pid)
        assert identity is not None and identity.alive()
        stranger = Identity(identity.pid, identity.started + 1)
        assert not stranger.alive()
        stranger.end(0.1)
        assert identity.alive(), "same pid, other start time: another process, which is left alone"
        child.kill()
        child.wait()
        assert not identity.alive()
    assert Identity.of(os.getpid()) is not None
