"""Every custom resource of every stack and toggle, against the definition of the operator that reads it."""

import re
from typing import Any

import pytest

from stack.resources import Recording
from tests.support import crds
from tests.support.report import none_of
from tests.support.variants import recording_of

pytestmark = pytest.mark.tools

# Groups of Kubernetes itself: the API server judges those (tests/engine).
_BUILT_IN = re.compile(r"^(v1|(apps|batch|policy|autoscaling)/\w+|[\w.]+\.k8s\.io/\w+)$")


def _is_custom(api: str) -> bool:
    return not _BUILT_IN.match(api) or api.startswith("gateway.networking.k8s.io/")


def _custom(recording: Recording) -> list[dict[str, Any]]:
    return [dict(r.inputs) for r in recording.objects if _is_custom(r.inputs["apiVersion"])]


def test_every_custom_resource_is_one_that_its_operator_knows(recording: Recording) -> None:
    bad = []
    documents = _custom(recording)
    for document in documents:
        where = f"{document['kind']} {document['metadata']['name']}"
        if not crds.is_defined(document):
            bad.append(f"{where}: nobody defines {document['apiVersion']}")
        else:
            bad += [f"{where}: {error}" for error in crds.errors(document)]
    assert documents, "the database at least is a custom resource"
    none_of(bad, "the API server would refuse these, or drop a field without a word")


@pytest.mark.parametrize("kind", sorted({document["kind"] for document in _custom(recording_of("small"))}))
def test_the_definitions_would_notice_a_field_that_does_not_exist(kind: str) -> None:
    document = next(d for d in _custom(recording_of("small")) if d["kind"] == kind)
    assert crds.errors({**document, "spec": {**document.get("spec", {}), "replicaz": 3}}), "a misspelled field"
