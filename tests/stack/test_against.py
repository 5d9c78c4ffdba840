"""`explain --against`: what an edit does, told before it is made, on a real git history."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stack.__main__ import main
from stack.commands import stacks
from stack.commands.against import report
from stack.commands.stacks import Source, at_revision, find
from stack.commands.table import WIDTH
from stack.load import ROOT

Edit = Callable[[str], str]


def edited(edit: Edit, stack: str = "large") -> tuple[Source, Source]:
    old = find(stack)
    text = edit(old.text)
    assert text != old.text, "the edit found nothing to change"
    return old, Source(label="edited", stack=old.stack, text=text)


def told(edit: Edit) -> str:
    text, _ = report(*edited(edit))
    assert all(len(line) <= WIDTH for line in text.splitlines()), "wider than a terminal"
    return text


def workers(line: str) -> Edit:
    return lambda text: f"{text}    synapse: {{ workers: {{ {line} }} }}\n"


def test_more_synchrotrons_restart_nothing() -> None:
    text = told(workers("synchrotron: { replicas: 20 }"))
    assert "synapse.workers.synchrotron.replicas  unset   20" in text
    assert "synapse-synchrotron  16–24 × 1 CPU, 1Gi  20–24 × 1 CPU, 1Gi" in text
    assert "No pod restarts." in text
    assert "Restarts" not in text and "Replaced" not in text


def test_more_event_persisters_stop_all_of_synapse_first_and_the_text_says_why() -> None:
    text = told(workers("event_persister: { replicas: 9 }"))
    assert "Replaced: deleted and made again" in text
    assert "All of them are deleted before the first is made anew" in text
    assert "synapse-instances" in text
    replaced = text[text.index("Replaced: ") : text.index("New files: ")]
    for process in find("large").plan().processes:
        assert process.name in replaced, f"{process.name} must not run with the old list of event persisters"


def test_another_server_name_is_refused_with_what_it_would_destroy_and_how_to_mean_it() -> None:
    edit = edited(lambda text: text.replace("server_name: chat.z3r0d3v.com", "server_name: other.example.org"))
    text, found = report(*edit)
    assert found.refused
    assert "Refused: the engine stops the whole edit" in text
    assert "server_name: every user id, room and event belongs to the old name and is lost." in text
    assert "confirm: [server_name]" in " ".join(text.split()).replace("{", "").replace("}", "")


def test_lifting_the_protection_says_what_it_uncovers() -> None:
    text = told(lambda text: f"{text}    safety: {{ protect: false }}\n")
    assert "Protection lifted: from now on an edit may delete or replace these" in text
    assert "Cluster matrix/postgres-main" in text


def test_a_larger_database_is_said_to_restart_by_its_operator() -> None:
    text = told(lambda text: f"{text}    postgres: {{ max_connections: 1700 }}\n")
    assert "Carried out by an operator, which restarts pods one by one where it must" in text
    assert "No pod restarts." not in text


def test_the_same_file_changes_nothing() -> None:
    text, found = report(find("small"), find("small"))
    assert not found
    assert "Edits: 0 settings" in text and "No object changes." in text


# ---- where the other version comes from --------------------------------------------------------------------------


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own with one commit of the small stack, and a working copy that was edited since."""

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    file = tmp_path / "Pulumi.small.yaml"
    file.write_text((ROOT / file.name).read_text())
    git("init", "--initial-branch=main")
    git("add", ".")
    git("commit", "-m", "first")
    file.write_text(file.read_text() + "    synapse: { log_level: WARNING }\n")
    monkeypatch.setattr(stacks.find, "__defaults__", (tmp_path,))
    monkeypatch.setattr(stacks.other_version, "__defaults__", (tmp_path,))
    return tmp_path


def test_an_edited_working_copy_is_compared_with_head(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "small", "--against", "HEAD"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Pulumi.small.yaml, coming from HEAD:Pulumi.small.yaml.")
    assert "synapse.log_level  INFO    WARNING" in text


def test_a_file_can_be_the_other_version(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = ROOT / "Pulumi.small.yaml"
    assert main(["explain", "small", "--against", str(other)]) == 0
    assert f"coming from {other}." in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("stack", "revision", "message"),
    [
        (
            "small",
            "no-such-branch",
            "no-such-branch:Pulumi.small.yaml: neither a file nor a git revision here is called 'no-such-branch'; "
            "a shallow clone may lack it (git fetch)",
        ),
        (
            "small",
            "--output=x",
            "--output=x:Pulumi.small.yaml: neither a file nor a git revision here is called '--output=x'; "
            "a shallow clone may lack it (git fetch)",
        ),
        ("small", "missing.yaml", "missing.yaml: cannot be read: No such file or directory"),
        (
            "new",
            "HEAD",
            "HEAD:Pulumi.new.yaml: this revision has no such file: the stack was not there yet",
        ),
    ],
)
def test_a_version_that_is_not_there_is_told_in_words(
    stack: str, revision: str, message: str, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (history / "Pulumi.new.yaml").write_text((history / "Pulumi.small.yaml").read_text())
    assert main(["explain", stack, f"--against={revision}"]) == 1
    assert capsys.readouterr().err.splitlines() == [message]


def test_outside_of_git_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="this is no git checkout; give the other version as a file"):
        at_revision(find("small"), "HEAD", tmp_path)


def test_an_old_version_that_the_code_of_today_refuses_is_told_with_its_own_name(
    history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = history / "old.yaml"
    old.write_text((ROOT / "Pulumi.small.yaml").read_text() + "    retired_key: 1\n")
    assert main(["explain", "small", "--against", str(old)]) == 1
    assert capsys.readouterr().err.startswith(f"{old}: matrix:stack.retired_key: unknown key")
