"""Data stays: what holds it is protected. (That no edit replaces it: test_restart_sets.)"""

from stack.resources import Recording, Resource
from tests.support.report import none_of


def holds_data(resource: Resource) -> bool:
    """A database, or a StatefulSet with volumes of its own, or a claim."""
    if resource.kind == "StatefulSet":
        return bool(resource.inputs["spec"].get("volumeClaimTemplates"))
    if resource.kind == "Cluster":
        return resource.type.startswith("kubernetes:postgresql.cnpg.io")
    return resource.kind == "PersistentVolumeClaim"


def test_there_is_data(recording: Recording) -> None:
    assert [r for r in recording.objects if holds_data(r)], "the tests here would prove nothing"


def test_what_holds_data_is_protected_and_stays_when_the_stack_goes(recording: Recording, variant: str) -> None:
    bad = []
    for resource in recording.objects:
        if holds_data(resource):
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
