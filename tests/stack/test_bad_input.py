"""Every bad input gets a message worth reading: file, key path, rule, value. The messages are pinned as they are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube.errors import StackError
from stack.load import CONFIG_KEY, read_stack_text
from stack.plan import make_plan
from tests.stack.bad_input import BAD, MISSING
from tests.support.golden import dump, stale
from tests.support.variants import committed, merged

GOLDEN = Path(__file__).parent / "messages.yaml"
_SOURCE = "Pulumi.small.yaml"


def _without_missing(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_missing(item) for key, item in value.items() if item is not MISSING}
    return value


def _messages(bad: Mapping[str, Any]) -> list[str]:
    """What a person reads who wrote this into the small stack's file."""
    raw = _without_missing(merged(committed("small"), bad))
    try:
        make_plan(read_stack_text(yaml.safe_dump({"config": {CONFIG_KEY: raw}}), _SOURCE), "small")
    except StackError as error:
        return error.lines()
    return []


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_words(what: str) -> None:
    lines = _messages(BAD[what])
    assert lines, f"{what} must be refused"
    for line in lines:
        assert line.startswith(f"{_SOURCE}: matrix:stack."), f"file and key path lead: {line}"
        assert "pydantic" not in line and "Traceback" not in line and "validation error" not in line


def test_messages_are_as_reviewed(update_golden: bool) -> None:
    text = (
        "# What a person reads who made a mistake. Written by `pytest tests/stack/test_bad_input.py --update-golden`.\n"
    )
    text += dump({what: _messages(bad) for what, bad in BAD.items()}, sort=False)
    diff = stale(GOLDEN, text, update=update_golden)
    assert not diff, f"a message reads differently; if that is better, --update-golden:\n{diff}"


def test_a_typo_gets_a_suggestion() -> None:
    assert _messages(BAD["unknown key, nearly right"]) == [
        f"{_SOURCE}: matrix:stack.concurent_users: unknown key; did you mean 'concurrent_users'?"
    ]


def test_a_number_out_of_bounds_is_told_with_bound_and_value() -> None:
    assert _messages(BAD["a worker count below the minimum"]) == [
        f"{_SOURCE}: matrix:stack.synapse.workers.generic.replicas: must be >= 1 (got 0)"
    ]


def test_a_secret_in_clear_is_refused_and_not_repeated() -> None:
    lines = _messages(BAD["a secret in clear"])
    assert len(lines) == 1 and "must not stand here in clear" in lines[0]
    assert "hunter22" not in lines[0], "an error message ends up in logs"


def test_every_mistake_is_told_at_once() -> None:
    """Those of one stage: what single keys say, or else what the plan says."""
    several = merged(BAD["unknown key, nearly right"], BAD["a worker count below the minimum"])
    several = merged(several, BAD["a quorum of Sentinels that is even"])
    assert len(_messages(several)) == 3
    spanning = merged(BAD["an application pool that is too small"], BAD["federation partners while federation is off"])
    assert {line.split(": ")[1].split(".")[1] for line in _messages(spanning)} >= {"node_pools", "federation"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: [", "is not YAML"),
        ("config: {}", "has no `config:` with the key `matrix:stack`"),
        ("- a\n- b", "has no `config:` with the key `matrix:stack`"),
        ("", "has no `config:` with the key `matrix:stack`"),
        ("config:\n  matrix:stack:\n    namespace: a\n    namespace: b", "stands twice"),
        ("config:\n  matrix:stack:\n", "must be a mapping"),
    ],
)
def test_a_file_that_is_no_stack_file_is_refused_in_words(text: str, rule: str) -> None:
    with pytest.raises(StackError) as caught:
        read_stack_text(text, _SOURCE)
    assert rule in str(caught.value)
    assert str(caught.value).startswith(_SOURCE)
