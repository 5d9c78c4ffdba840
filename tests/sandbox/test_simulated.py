"""Simulated operators against a cluster of dictionaries: the rules that a real cluster has, without one."""

import copy
import tempfile
from pathlib import Path
from typing import Any

from sandbox.simulated.addresses import Addresses, addresses_of
from sandbox.simulated.postgres import Postgres

Json = dict[str, Any]


class FakeApi:
    """Objects by path; enough of an API server for the operators."""

    def __init__(self, **collections: list[Json]) -> None:
        self.collections = collections
        self.created: list[tuple[str, Json]] = []
        self.deleted: list[str] = []
        self.merged: dict[str, Json] = {}

    def list(self, path: str, **_: str) -> list[Json]:
        return copy.deepcopy(self.collections.get(path.rsplit("/", 1)[-1], []))

    def create(self, path: str, body: Json) -> Json:
        self.created.append((path.rsplit("/", 1)[-1], body))
        return body

    def delete(self, path: str, *, now: bool = False) -> None:
        self.deleted.append(path.rsplit("/", 1)[-1])

    def merge(self, path: str, body: Json) -> Json:
        self.merged[path] = body["status"]
        return body


def _named(api: FakeApi, kind: str) -> list[str]:
    return [body["metadata"]["name"] for found, body in api.created if found == kind]


def _service(name: str, **spec: Any) -> Json:
    metadata = {"name": name, "namespace": "n", "annotations": spec.pop("annotations", {})}
    return {"metadata": metadata, "spec": {"type": "LoadBalancer", **spec}, "status": {}}


def _pool(name: str, *ranges: str, **spec: Any) -> Json:
    return {"metadata": {"name": name}, "spec": {"addresses": list(ranges), **spec}}


def _given(api: FakeApi) -> dict[str, str]:
    return {path.split("/")[-2]: s["loadBalancer"]["ingress"][0]["ip"] for path, s in api.merged.items()}


def test_ranges_are_read_in_both_of_metallbs_notations() -> None:
    assert list(addresses_of(["192.0.2.1-192.0.2.3", "198.51.100.0/31"])) == [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.3",
        "198.51.100.0",
        "198.51.100.1",
    ]


def test_addresses_come_from_the_stacks_pool_and_run_out() -> None:
    api = FakeApi(
        services=[_service("a"), _service("b"), _service("c")], ipaddresspools=[_pool("p", "192.0.2.1-192.0.2.2")]
    )
    Addresses(api).look()  # type: ignore[arg-type]
    assert _given(api) == {"a": "192.0.2.1", "b": "192.0.2.2"}, "the third waits, as it would with MetalLB"


def test_a_wanted_address_is_given_only_when_a_pool_has_it() -> None:
    wish = {"metallb.io/loadBalancerIPs": "192.0.2.9"}
    for ranges, expected in (("192.0.2.8-192.0.2.9", {"a": "192.0.2.9"}), ("192.0.2.1-192.0.2.2", {})):
        api = FakeApi(services=[_service("a", annotations=wish)], ipaddresspools=[_pool("p", ranges)])
        Addresses(api).look()  # type: ignore[arg-type]
        assert _given(api) == expected


def test_without_any_pool_addresses_come_from_the_sandboxs_range() -> None:
    api = FakeApi(services=[_service("a")])
    Addresses(api).look()  # type: ignore[arg-type]
    assert _given(api)["a"].startswith("198.18.255.")


def _cluster(**spec: Any) -> Json:
    return {
        "kind": "Cluster",
        "metadata": {"name": "db", "namespace": "n", "uid": "u"},
        "spec": {"instances": 3, "storage": {"size": "1Gi", "storageClass": "fast"}, **spec},
    }


def _ready(pod: Json) -> Json:
    metadata = pod["metadata"] | {"namespace": "n"}
    return pod | {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


_KEYS = tempfile.TemporaryDirectory()  # ends with the process


def _look(api: FakeApi) -> None:
    Postgres(api, Path(_KEYS.name)).look()  # type: ignore[arg-type]


def test_a_database_brings_the_authority_that_its_clients_check_it_against() -> None:
    api = FakeApi(clusters=[_cluster()])
    _look(api)
    assert "db-ca" in _named(api, "secrets"), "every Synapse process mounts it"


def _look_until_quiet(cluster: Json) -> tuple[FakeApi, dict[str, Json]]:
    """Look again and again, with every pod ready a moment after it was made; the last look and all pods."""
    pods: dict[str, Json] = {}
    for _ in range(12):
        api = FakeApi(clusters=[cluster], pods=list(pods.values()))
        _look(api)
        pods |= {b["metadata"]["name"]: _ready(b) for kind, b in api.created if kind == "pods"}
        for status in api.merged.values():
            cluster["status"] = cluster.get("status", {}) | status
    return api, pods


def test_a_new_database_grows_one_instance_at_a_time() -> None:
    api = FakeApi(clusters=[_cluster()])
    _look(api)
    assert _named(api, "pods") == ["db-1"], "replicas copy a primary that must be there first"
    assert _named(api, "persistentvolumeclaims") == ["db-1"]
    assert set(_named(api, "services")) == {"db-rw", "db-ro", "db-r"}


def test_it_is_ready_only_with_every_instance() -> None:
    cluster = _cluster()
    _, pods = _look_until_quiet(cluster)
    assert set(pods) == {"db-1", "db-2", "db-3"}
    assert cluster["status"]["readyInstances"] == 3
    assert {c["type"]: c["status"] for c in cluster["status"]["conditions"]} == {"Ready": "True"}
    roles = {name: pod["metadata"]["labels"]["cnpg.io/instanceRole"] for name, pod in pods.items()}
    assert roles == {"db-1": "primary", "db-2": "replica", "db-3": "replica"}


def test_fewer_instances_lose_the_last_ones_with_their_claims() -> None:
    cluster = _cluster()
    _, pods = _look_until_quiet(cluster)
    cluster["spec"]["instances"] = 2
    api = FakeApi(clusters=[cluster], pods=list(pods.values()))
    _look(api)
    assert api.deleted == ["db-3", "db-3"], "the pod and the claim of the same name"


def test_changed_resources_replace_replicas_first_one_at_a_time() -> None:
    cluster = _cluster()
    _, pods = _look_until_quiet(cluster)
    cluster["spec"]["resources"] = {"requests": {"cpu": "2"}}
    api = FakeApi(clusters=[cluster], pods=list(pods.values()))
    _look(api)
    assert api.deleted == ["db-2"], "the primary goes last"


def test_pods_carry_placement_and_storage_of_the_cluster() -> None:
    affinity = {"nodeSelector": {"pool": "database"}, "podAntiAffinityType": "required"}
    api = FakeApi(clusters=[_cluster(affinity=affinity, walStorage={"size": "1Gi"})])
    _look(api)
    pod = next(body for kind, body in api.created if kind == "pods")
    assert pod["spec"]["nodeSelector"] == {"pool": "database"}
    rules = pod["spec"]["affinity"]["podAntiAffinity"]
    assert len(rules["requiredDuringSchedulingIgnoredDuringExecution"]) == 1
    assert _named(api, "persistentvolumeclaims") == ["db-1", "db-1-wal"]
