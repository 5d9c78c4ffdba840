"""What every pod has in common."""

from typing import Any

from kube.component import service_spec
from kube.pod import (
    Container,
    Resources,
    Spread,
    Workload,
    disruption_budget,
    exec_probe,
    http_probe,
    pod_template,
    scratch_volume,
    secret_volume,
    tcp_probe,
)
from kube.quantity import GI, MI
from tests.support.cluster import Pod
from tests.support.pod_security import violations
from tests.support.recordings import resource

SIZE = Resources(cpu=250, memory=1 * GI, memory_limit=2 * GI)


def _workload(**changes: Any) -> Workload:
    given: dict[str, Any] = {
        "name": "app",
        "namespace": "matrix",
        "component": "part",
        "pool": "database",
        "replicas": 2,
        "resources": SIZE,
    }
    return Workload(**{**given, **changes})


def _container(**changes: Any) -> Container:
    given: dict[str, Any] = {"name": "main", "image": "a:1", "command": ["run"], "resources": SIZE}
    return Container(**{**given, **changes})


def _pod(template: Any) -> Pod:
    return Pod(resource("Deployment", api="apps/v1", inputs={"spec": {"template": template}}), template)


def test_a_plain_pod_meets_pod_security_restricted() -> None:
    assert list(violations(_pod(pod_template(_workload(), [_container()])))) == []


def test_a_pod_goes_to_its_pool_and_tolerates_only_that() -> None:
    spec = pod_template(_workload(), [_container()])["spec"]
    assert spec["nodeSelector"] == {"synapse-platform/pool": "database"}
    assert [t["value"] for t in spec["tolerations"]] == ["database"]


def test_quorums_never_share_a_node_and_others_may() -> None:
    preferred = pod_template(_workload(), [_container()])["spec"]
    required = pod_template(_workload(spread=Spread.REQUIRE), [_container()])["spec"]
    assert preferred["topologySpreadConstraints"][0]["whenUnsatisfiable"] == "ScheduleAnyway"
    assert "affinity" not in preferred
    assert "topologySpreadConstraints" not in required, "skew 1 would let two share a node"
    rule = required["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert rule["labelSelector"]["matchLabels"] == _workload().selector


def test_memory_is_limited_and_cpu_only_if_asked() -> None:
    assert SIZE.spec() == {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    throttled = Resources(cpu=250, memory=GI, memory_limit=GI, cpu_limit=500)
    assert throttled.spec()["limits"] == {"cpu": "500m", "memory": "1Gi"}


def test_a_workload_counts_its_sidecars_and_its_autoscaler() -> None:
    work = _workload(sidecars=(SIZE,), max_replicas=5)
    assert (work.cpu, work.memory, work.peak_replicas) == (500, 2 * GI, 5)
    assert _workload().peak_replicas == 2


def test_a_container_mounts_read_only_unless_it_writes() -> None:
    spec = _container(mounts={"/etc/app": "config"}, writable={"/data": "data"}).spec()
    assert spec["volumeMounts"] == [
        {"name": "config", "mountPath": "/etc/app", "readOnly": True},
        {"name": "data", "mountPath": "/data"},
    ]


def test_variables_are_text_or_references() -> None:
    reference = {"secretKeyRef": {"name": "s", "key": "k"}}
    assert _container(env={"A": "1", "B": reference}).spec()["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": reference},
    ]


def test_probes_say_seconds_and_scheme() -> None:
    assert http_probe("/health", "http", tls=True)["httpGet"]["scheme"] == "HTTPS"
    assert "scheme" not in http_probe("/health", "http")["httpGet"]
    for probe in (http_probe("/", 1), tcp_probe(1), exec_probe(["x"])):
        assert {"periodSeconds", "timeoutSeconds", "failureThreshold"} <= probe.keys()


def test_empty_fields_are_left_out() -> None:
    template = pod_template(_workload(), [_container()])
    assert not {"initContainers", "volumes", "hostAliases", "imagePullSecrets"} & template["spec"].keys()
    assert not {"ports", "env", "volumeMounts", "lifecycle"} & template["spec"]["containers"][0].keys()


def test_volumes_of_secrets_are_for_the_group_and_scratch_is_bounded() -> None:
    assert secret_volume("v", "s", {"k": "f"})["secret"] == {
        "secretName": "s",
        "defaultMode": 0o440,
        "items": [{"key": "k", "path": "f"}],
    }
    assert scratch_volume("v", size=16 * MI, memory=True)["emptyDir"] == {"sizeLimit": "16Mi", "medium": "Memory"}


def test_a_budget_lets_one_go_unless_a_quorum_asks_for_more() -> None:
    assert disruption_budget(_workload())["maxUnavailable"] == 1
    strict = disruption_budget(_workload(), min_available=2)
    assert strict["minAvailable"] == 2 and "maxUnavailable" not in strict


def test_services_lead_to_ports_by_name() -> None:
    spec = service_spec({"a": "b"}, {"http": 80}, headless=True, publish_not_ready=True)
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
    assert spec["clusterIP"] == "None" and spec["publishNotReadyAddresses"] is True
    assert "clusterIP" not in service_spec({"a": "b"}, {"http": 80})
