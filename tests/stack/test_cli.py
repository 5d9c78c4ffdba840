"""`python -m stack`: its messages, its exit codes, and that nothing expected ends in a traceback."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.__main__ import main
from stack.commands.stacks import REFERENCE, stack_names
from stack.load import ROOT

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[Edit], Path]:
    """A copy of the committed small stack after an edit of the object below matrix:stack."""

    def make(edit: Edit) -> Path:
        document = yaml.safe_load((ROOT / "Pulumi.small.yaml").read_text())
        edit(document["config"]["matrix:stack"])
        path = tmp_path / "Pulumi.edited.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return make


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_every_committed_stack_is_valid_and_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate"]) == 0
    found = lines(capsys)
    assert [line.split(": ok: ")[0] for line in found] == [f"Pulumi.{name}.yaml" for name in stack_names()]
    assert stack_names()[:3] == REFERENCE, "the reference stacks are there, smallest first"
    assert "up to 20,000 people online; 51 nodes, 1,208 vCPU, 4,080 GiB" in found[2]


def test_all_problems_are_told_at_once_each_with_file_path_rule_and_value(
    edited: Callable[[Edit], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(stack: dict[str, Any]) -> None:
        stack["server_name"] = "Chat Server"
        stack["concurrent_users"] = 0
        stack["storage_clases"] = {}
        del stack["storage_classes"]["object"]

    path = edited(wrong)
    assert main(["validate", str(path)]) == 1
    assert lines(capsys) == [
        f"{path}: matrix:stack.server_name: must be a fully qualified host name in lower case, such as "
        "chat.example.org (got 'Chat Server')",
        f"{path}: matrix:stack.concurrent_users: must be >= 1 (got 0)",
        f"{path}: matrix:stack.storage_classes.object: is missing and has no default",
        f"{path}: matrix:stack.storage_clases: unknown key; did you mean 'storage_classes'?",
    ]


def test_pools_too_small_are_told_with_the_arithmetic(
    edited: Callable[[Edit], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = edited(lambda stack: stack["node_pools"]["application"].update(count=1))
    assert main(["validate", str(path)]) == 1
    told = "\n".join(lines(capsys))
    assert f"{path}: matrix:stack.node_pools.application: lacks " in told
    assert "with one node of each pool lost" in told


def test_one_wrong_file_does_not_hide_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "small", "Pulumi.none.yaml", "large"]) == 1
    first, second, third = lines(capsys)
    assert first.startswith("Pulumi.small.yaml: ok: ")
    assert second == "Pulumi.none.yaml: cannot be read: No such file or directory"
    assert third.startswith("Pulumi.large.yaml: ok: ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "larg",
            "larg: there is no stack of this name; did you mean 'large'? "
            f"(stacks here: {', '.join(stack_names())}; or give a file's path)",
        ),
        (
            "zzz",
            f"zzz: there is no stack of this name (stacks here: {', '.join(stack_names())}; or give a file's path)",
        ),
    ],
)
def test_an_unknown_stack_is_told_with_the_known_ones(
    name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", name]) == 1
    assert lines(capsys) == [message]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"config: [", "is not YAML at line 1"),
        (b"config:\n  a: 1\n b: 2\n", "is not YAML at line 3"),
        (b"config:\n  a: 1\n  a: 2\n", "is not YAML at line 3: the key 'a' stands twice in one place"),
        (b"", "has no `config:` with the key `matrix:stack`"),
        (b"- a list\n", "has no `config:` with the key `matrix:stack`"),
        (b"config:\n  matrix:stack: text\n", "must be a mapping of keys to values"),
        (b"config:\n  matrix:stack:\n", "must be a mapping of keys to values"),
        (b"\xff\xfe\x00", "is no text (not UTF-8)"),
    ],
)
def test_a_file_that_is_no_stack_file_is_told_in_words(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "Pulumi.broken.yaml"
    path.write_bytes(content)
    assert main(["validate", str(path)]) == 1
    told = lines(capsys)
    assert len(told) == 1, "one problem, one line"
    assert told[0].startswith(f"{path}: ") and message in told[0]


def test_every_command_that_reads_a_stack_says_what_is_wrong_on_stderr_and_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in (["explain", "nowhere"], ["images", "nowhere"]):
        assert main(command) == 1
        captured = capsys.readouterr()
        assert captured.out == "", "output that a program reads has no messages in it"
        assert captured.err.startswith("nowhere: there is no stack of this name")


def test_a_wrong_command_line_is_told_apart_from_a_wrong_stack() -> None:
    with pytest.raises(SystemExit) as error:
        main(["explode"])
    assert error.value.code == 2


def test_a_reader_that_stops_early_gets_no_traceback() -> None:
    command = f"{sys.executable} -m stack schema | head -n 1"
    result = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("{\n", "")


def test_images_are_three_words_a_line_and_carry_the_registry(
    edited: Callable[[Edit], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = edited(lambda stack: stack.update(images={"registry": "registry.intern:5000/matrix"}))
    assert main(["images", str(path)]) == 0
    found = [line.split(" ") for line in lines(capsys)]
    assert all(len(words) == 3 for words in found)
    targets = {source: target for kind, source, target in found if kind == "image"}
    assert targets["docker.io/library/haproxy:3.0-alpine"] == "registry.intern:5000/matrix/library/haproxy:3.0-alpine"
    elsewhere = [target for target in targets.values() if not target.startswith("registry.intern:5000/matrix/")]
    assert not elsewhere, "an image that is not rewritten cannot be pulled without internet"


def test_images_as_json_name_every_image_of_the_lock(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "large", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    locked = yaml.safe_load((ROOT / "apps" / "images.lock").read_text())
    assert {item["name"] for item in found if item["kind"] == "image"} == set(locked)
    assert all(item["digest"] == locked[item["name"]]["digest"] for item in found if item["kind"] == "image")
