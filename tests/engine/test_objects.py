"""Every object of every stack and toggle before the real API server: strict fields, validation, admission.

Nothing is stored: each object is applied in a dry run. Admission knows our namespaces with their labels, so that Pod
Security judges the pods of every workload; a warning fails like an error.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sandbox import toolchain
from sandbox.api import core
from sandbox.session import Session
from tests.support.report import none_of
from tests.support.variants import VARIANTS, recording_of

_CLUSTERS_OWN = {"", "default", "kube-system", "kube-public", "kube-node-lease"}


@pytest.fixture(scope="module")
def objects() -> list[Mapping[str, Any]]:
    """Each different object once; most are the same in many variants."""
    unique = {json.dumps(r.inputs, sort_keys=True): r.inputs for v in VARIANTS for r in recording_of(v).objects}
    return list(unique.values())


@pytest.fixture(scope="module")
def namespaces(sandbox: Session, objects: list[Mapping[str, Any]]) -> Iterator[None]:
    """The namespaces of all variants, as declared; those of others without labels.

    In an empty cluster: beside objects that other tests left, a dry run judges changes of them and not ours.
    """
    sandbox.restart_empty()
    api = sandbox.cluster.api
    there = {namespace["metadata"]["name"] for namespace in api.list(core("namespaces"))}
    declared = {o["metadata"]["name"]: o["metadata"].get("labels", {}) for o in objects if o["kind"] == "Namespace"}
    used = {o["metadata"].get("namespace", "") for o in objects} | declared.keys()
    made = sorted(used - _CLUSTERS_OWN - there)
    for name in made:
        api.create(core("namespaces"), {"metadata": {"name": name, "labels": declared.get(name, {})}})
    yield
    # At once, and not by deleting namespaces: those end slowly, and the next stack would find them ending.
    sandbox.restart_empty()


def _apply(sandbox: Session, body: Mapping[str, Any]) -> "subprocess.CompletedProcess[str]":
    """kubectl's server-side apply in a dry run, strict about fields."""
    arguments = ("--server-side", "--dry-run=server", "--force-conflicts", "--validate=strict", "--field-manager=tests")
    return subprocess.run(
        [str(toolchain.binary("kubectl")), "apply", *arguments, "--filename=-"],
        input=json.dumps(body),
        env={**os.environ, **sandbox.environment(), "KUBECONFIG": str(sandbox.cluster.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_api_server_accepts_every_object(
    sandbox: Session, namespaces: None, objects: list[Mapping[str, Any]]
) -> None:
    result = _apply(sandbox, {"apiVersion": "v1", "kind": "List", "items": objects})
    none_of(result.stderr.splitlines(), "the API server refuses, or warns of, these")
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == len(objects), "each object was judged"


def test_the_api_server_would_refuse_what_is_wrong(
    sandbox: Session, namespaces: None, objects: list[Mapping[str, Any]]
) -> None:
    """Guards the test above: a misspelled field, and a pod that admission does not like."""
    workload = next(o for o in objects if o["kind"] == "Deployment")
    misspelled = {**workload, "spec": {**workload["spec"], "replicaz": 2}}
    template = workload["spec"]["template"]
    host = {**template, "spec": {**template["spec"], "hostNetwork": True}}
    privileged = {**workload, "spec": {**workload["spec"], "template": host}}
    for wrong, word in ((misspelled, "replicaz"), (privileged, "PodSecurity")):
        found = _apply(sandbox, wrong).stderr
        assert word in found, found or f"a Deployment with {word} was accepted without a word"
