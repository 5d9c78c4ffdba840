"""Data stays: what holds it is protected, and no edit of a size, a count or a version replaces it."""

from collections.abc import Mapping
from typing import Any

import pytest

from stack.diff import effects
from stack.plan import make_plan
from stack.record import record
from stack.resources import Recording, Resource
from tests.support.report import none_of
from tests.support.variants import edited, recording_of


def holds_data(resource: Resource) -> bool:
    """A database, or a StatefulSet with volumes of its own, or a claim."""
    if resource.kind == "StatefulSet":
        return bool(resource.inputs["spec"].get("volumeClaimTemplates"))
    if resource.kind == "Cluster":
        return resource.type.startswith("kubernetes:postgresql.cnpg.io")
    return resource.kind in ("PersistentVolumeClaim", "ObjectStore")


def test_there_is_data(recording: Recording) -> None:
    assert [r for r in recording.objects if holds_data(r)], "the tests here would prove nothing"


def test_what_holds_data_is_protected_and_stays_when_the_stack_goes(recording: Recording, variant: str) -> None:
    bad = []
    for resource in recording.objects:
        if holds_data(resource) and resource.kind != "ObjectStore":
            wanted = variant != "unprotected"
            if resource.protect != wanted or resource.retain_on_delete != wanted:
                bad.append(f"{resource}: protect {resource.protect}, retained {resource.retain_on_delete}")
    none_of(bad, "safety.protect decides, and nothing else")


def test_the_signing_key_is_protected(recording: Recording, variant: str) -> None:
    keys = [
        r
        for r in recording.resources
        if r.type == "tls:index/privateKey:PrivateKey" and r.inputs["algorithm"] == "ED25519"
    ]
    assert keys, "Synapse has a signing key"
    assert all(key.protect == (variant != "unprotected") for key in keys), "other servers and clients know it"


def test_claims_of_stateful_sets_stay(recording: Recording) -> None:
    bad = [
        r
        for r in recording.of_kind("StatefulSet")
        if holds_data(r)
        and r.inputs["spec"].get("persistentVolumeClaimRetentionPolicy", {}).get("whenDeleted", "Retain") != "Retain"
    ]
    none_of(bad, "volumes with data outlive the object that made them")


EDITS: Mapping[str, Mapping[str, Any]] = {
    "more users": {"concurrent_users": 900},
    "every pod of object storage larger": {"minio": {"resources": {"cpu": "1100m", "memory": "3500Mi"}}},
    "larger drives": {"minio": {"drive_size": "450Gi"}},
    "another log level": {"synapse": {"log_level": "DEBUG"}},
    "more synchrotrons": {"synapse": {"workers": {"synchrotron": {"replicas": 5}}}},
    "another registry": {"images": {"registry": "mirror.example.org"}},
    "federation": {"federation": {"enabled": True}},
}


@pytest.mark.parametrize("edit", EDITS)
def test_no_edit_of_a_size_a_count_or_an_image_replaces_what_holds_data(edit: str) -> None:
    before = recording_of("small")
    after = record(make_plan(edited("small", EDITS[edit]), "small"))
    data = {(r.kind, r.object_name) for r in before.objects if holds_data(r)}
    found = effects(before, after)
    bad = [c.title for c in (*found.replace, *found.delete) if (c.kind, c.name) in data]
    bad += [c.title for c in found.refused if (c.kind, c.name) in data]
    none_of(bad, f"`{edit}` must change it in place, or not at all")
