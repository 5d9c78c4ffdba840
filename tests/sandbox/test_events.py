"""What the engine's event log says, in a person's terms."""

from sandbox.events import Events, short

_JOB = "urn:pulumi:s::p::kubernetes:batch/v1:Job::quiesce"
_SET = "urn:pulumi:s::p::matrix:synapse:Cluster$kubernetes:apps/v1:StatefulSet::main"


def _step(key: str, operation: str, urn: str) -> dict[str, object]:
    return {key: {"metadata": {"op": operation, "urn": urn}}}


def test_a_replacement_of_several_steps_is_one_operation() -> None:
    events = Events()
    for operation in ("delete-replaced", "replace", "create-replacement"):
        events.add(_step("resourcePreEvent", operation, _JOB))
        events.add(_step("resOutputsEvent", operation, _JOB))
    assert events.operations == {_JOB: "replace"}
    assert events.order("delete-replaced", "create-replacement") == [
        "delete-replaced Job/quiesce",
        "create-replacement Job/quiesce",
    ]


def test_what_stays_the_same_is_no_change() -> None:
    events = Events()
    events.add(_step("resourcePreEvent", "same", _SET))
    events.add(_step("resourcePreEvent", "update", _JOB))
    assert events.changes == {_JOB: "update"}
    assert events.named("update") == {"Job/quiesce"}


def test_what_has_begun_and_not_ended_is_active_until_it_fails_or_is_done() -> None:
    events = Events()
    events.add(_step("resourcePreEvent", "create", _SET))
    events.add(_step("resourcePreEvent", "create", _JOB))
    assert set(events.active) == {_SET, _JOB}
    events.add(_step("resOutputsEvent", "create", _SET))
    events.add(_step("resOpFailedEvent", "create", _JOB))
    assert events.active == {}


def test_errors_carry_the_name_of_their_resource() -> None:
    events = Events()
    events.add({"diagnosticEvent": {"severity": "error", "message": "refused\n", "urn": _SET}})
    events.add({"diagnosticEvent": {"severity": "info", "message": "hello"}})
    assert events.errors == ["StatefulSet/main: refused"]


def test_a_urn_is_shortened_to_kind_and_name_whatever_its_parents() -> None:
    assert short(_SET) == "StatefulSet/main"
    assert short("urn:pulumi:s::p::pulumi:pulumi:Stack::p-s") == "Stack/p-s"
