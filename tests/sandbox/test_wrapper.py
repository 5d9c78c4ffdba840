"""The shell's `pulumi`: what it understands of its arguments, and what it leaves alone."""

from pathlib import Path

import pytest

from sandbox import wrapper
from sandbox.wrapper import split


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["up", "--stack", "large"], ("up", "large", False)),
        (["-s", "large", "up", "--yes"], ("up", "large", False)),
        (["preview", "--stack=medium"], ("preview", "medium", False)),
        (["--cwd", "up", "preview"], ("preview", "", False)),
        (["up", "--config-file", "x.yaml"], ("up", "", True)),
        ([], ("", "", False)),
    ],
)
def test_command_and_stack_are_found_in_every_spelling(arguments: list[str], expected: tuple[str, str, bool]) -> None:
    assert split(arguments) == expected


@pytest.mark.parametrize("arguments", [["stack", "ls"], ["version"], ["up", "--help"], ["up", "--config-file", "mine"]])
def test_other_commands_are_passed_on_unchanged(arguments: list[str]) -> None:
    assert wrapper.prepare(arguments) == arguments


def test_another_project_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert wrapper.prepare(["up", "--stack", "small"]) == ["up", "--stack", "small"]
