"""Which processes an edit restarts: the table that an operator plans maintenance by.

`roll`: pods are replaced one after the other. `stop`: all named processes stop before any starts (their StatefulSets
are replaced). A pod restarts exactly when its template changes.
"""

from collections.abc import Callable
from typing import Any

import pytest

from components.synapse.files import instance_files, sender_files
from components.synapse.plan import SynapsePlan
from components.synapse.pods import autoscaler, stateful_set, template
from components.synapse.process_types import ProcessType
from tests.synapse.builders import LARGE, plan

EVERY = frozenset(ProcessType)


def rolled(before: SynapsePlan, after: SynapsePlan) -> frozenset[ProcessType]:
    """Types whose pods differ."""
    return frozenset(
        p.type for p in before.processes if template(before, p) != template(after, after.processes[p.type])
    )


def stopped(before: SynapsePlan, after: SynapsePlan) -> frozenset[ProcessType]:
    """Types whose StatefulSets are replaced along with the list that they may not have two of at once."""
    if instance_files(before).name != instance_files(after).name:
        return EVERY
    if sender_files(before).name != sender_files(after).name:
        return frozenset({ProcessType.FEDERATION_SENDER})
    return frozenset()


def _edit(**settings: Any) -> Callable[[], SynapsePlan]:
    return lambda: plan(LARGE, federation=True, **settings)


def _workers(**workers: Any) -> Callable[[], SynapsePlan]:
    return _edit(workers=workers)


T = ProcessType
TABLE: dict[str, tuple[Callable[[], SynapsePlan], set[ProcessType], set[ProcessType]]] = {
    # edit: (plan after, types that roll, types that stop first)
    "nothing": (_edit(), set(), set()),
    "synchrotron 16 to 20": (_workers(synchrotron={"replicas": 20}), set(), set()),
    "generic 12 to 14": (_workers(generic={"replicas": 14}), set(), set()),
    "generic's autoscaler maximum": (_workers(generic={"autoscale": {"max": 20}}), set(), set()),
    "sliding sync 6 to 8": (_workers(sliding_sync={"replicas": 8}), set(), set()),
    "federation inbound 4 to 5": (_workers(federation_inbound={"replicas": 5}), set(), set()),
    "federation reader 3 to 4": (_workers(federation_reader={"replicas": 4}), set(), set()),
    "pusher 4 to 5": (_workers(pusher={"replicas": 5}), {T.MAIN, T.PUSHER}, set()),
    "federation sender 6 to 8": (
        _workers(federation_sender={"replicas": 8}),
        {T.MAIN, T.FEDERATION_SENDER},
        {T.FEDERATION_SENDER},
    ),
    "event persister 8 to 10": (_workers(event_persister={"replicas": 10}), set(EVERY), set(EVERY)),
    "receipts 2 to 1": (_workers(receipts={"replicas": 1}), set(EVERY), set(EVERY)),
    "device lists 2 to 1": (_workers(device_lists={"replicas": 1}), set(EVERY), set(EVERY)),
    "synchrotron's memory": (
        _workers(synchrotron={"resources": {"cpu": "1", "memory": "3Gi"}}),
        {T.SYNCHROTRON},
        set(),
    ),
    "typing's connections": (_workers(typing={"cp_max": 8}), {T.TYPING}, set()),
    "generic's environment": (_workers(generic={"extra_env": {"A": "b"}}), {T.GENERIC}, set()),
    "upload size": (_edit(max_upload_size="200M"), {T.MEDIA_REPOSITORY}, set()),
    "media retention": (_edit(media={"remote_media_lifetime": "30d"}), {T.MEDIA_REPOSITORY}, set()),
    "media cache": (_edit(media={"cache": "30Gi"}), {T.MEDIA_REPOSITORY}, set()),
    "push gateways": (_edit(internet=False), set(), set()),
    "log level": (_edit(log_level="WARNING"), set(EVERY), set()),
    "presence": (_edit(presence="on"), set(EVERY), set()),
    "rate limits": (_edit(rate_limits={"message": {"per_second": 9, "burst_count": 9}}), set(EVERY), set()),
    "extra keys": (_edit(extra={"default_room_version": "10"}), set(EVERY), set()),
    "url previews": (_edit(url_previews={"enabled": True}), set(EVERY), set()),
    "router's replicas": (_edit(router={"replicas": 4}), set(), set()),
}


@pytest.mark.parametrize("edit", TABLE)
def test_an_edit_restarts_exactly_these_processes(edit: str) -> None:
    after, rolls, stops = TABLE[edit]
    before, changed = plan(LARGE, federation=True), after()
    assert set(rolled(before, changed)) == rolls, (
        "a restart too many costs users their connection; one too few hides it"
    )
    assert set(stopped(before, changed)) == stops


def test_more_synchrotrons_only_raise_the_autoscalers_minimum() -> None:
    before, after = plan(LARGE), plan(LARGE, workers={"synchrotron": {"replicas": 20}})
    one, other = (autoscaler(p, p.processes[ProcessType.SYNCHROTRON]) for p in (before, after))
    assert {key for key in one if one[key] != other[key]} == {"minReplicas"}
    assert (one["minReplicas"], other["minReplicas"]) == (16, 20)
    sets = [stateful_set(p, p.processes[ProcessType.SYNCHROTRON]) for p in (before, after)]
    assert {key for key in sets[0] if sets[0][key] != sets[1][key]} == {"replicas"}, "and that one the engine ignores"


def test_whoever_stops_also_waits_for_the_last_process_with_the_old_list() -> None:
    before, after = plan(LARGE), plan(LARGE, workers={"event_persister": {"replicas": 10}})
    for process in after.processes:
        old, new = (
            {e["name"]: e.get("value") for e in template(p, process)["spec"]["initContainers"][0]["env"]}
            for p in (before, after)
        )
        assert old["SHARDS"] != new["SHARDS"], f"{process.name} would start beside a process with the old list"
