"""The checks themselves: each must find a mistake that is planted, or it proves nothing."""

from dataclasses import replace
from typing import Any

import pytest

from stack.resources import Recording, Resource
from tests.stacks import (
    test_pods,
    test_references,
    test_safety,
    test_secrets,
    test_services,
)
from tests.support import hosts, paths, pod_security
from tests.support.cluster import Cluster
from tests.support.recordings import recording, resource, workload
from tests.support.variants import recording_of

DOMAIN = "cluster.local"


def _cluster(*resources: Resource) -> Cluster:
    return Cluster(recording(*resources))


def _with(change: Any, **container: Any) -> Resource:
    """A StatefulSet whose only container, and pod, are changed."""
    inputs = workload()
    spec = inputs["spec"]["template"]["spec"]
    spec["containers"][0].update(container)
    spec.update(change)
    return resource("StatefulSet", api="apps/v1", inputs=inputs)


def _config(text: str, name: str = "c") -> Resource:
    return resource("ConfigMap", name, inputs={"data": {"app.conf": text}})


VOLUMES: dict[str, Any] = {"volumes": [{"name": "config", "configMap": {"name": "c"}}]}
MOUNTS = [{"name": "config", "mountPath": "/etc/app", "readOnly": True}]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("include /etc/app/other.conf", ["/etc/app/other.conf"]),
        ("certificate: /run/secrets/tls.crt", ["/run/secrets/tls.crt"]),
        ("file /etc/app/app.conf and /etc/ssl/certs/x.pem", []),
        ("GET /_matrix/client/versions or https://host/etc/app/x", []),
        ("# reads /run/nothing", []),
        ("file /etc/app/$name.conf", []),
    ],
)
def test_a_path_that_is_not_there_is_found(text: str, found: list[str]) -> None:
    cluster = _cluster(_with(VOLUMES, volumeMounts=MOUNTS, command=["run", "/etc/app/app.conf"]), _config(text))
    assert [line.split(": ")[-1].split(" ")[0] for line in paths.missing(cluster)] == found


@pytest.mark.parametrize(
    ("command", "unnamed"),
    [
        (["run"], ["/etc/app"]),
        (["run", "-f", "/etc/app/app.conf"], []),
        (["sh", "-c", "cat /etc/$what/app.conf"], []),
        (["run", "/etc/application"], ["/etc/app"]),
    ],
)
def test_a_mount_that_nobody_names_is_found(command: list[str], unnamed: list[str]) -> None:
    cluster = _cluster(_with(VOLUMES, volumeMounts=MOUNTS, command=command), _config("nothing"))
    assert [line.split(": ")[-1] for line in paths.unnamed(cluster)] == unnamed


def test_numbered_directories_are_named_by_a_range() -> None:
    mounts = [{"name": "a", "mountPath": "/data0"}, {"name": "b", "mountPath": "/data7"}]
    cluster = _cluster(_with({}, volumeMounts=mounts, command=["serve", "http://x-{0...3}.y:9000/data{0...1}"]))
    assert not list(paths.unnamed(cluster)), "a range names any number; which ones is the program's business"


SERVICE = resource(
    "Service",
    "x",
    inputs={"spec": {"clusterIP": "None", "selector": {"app": "x"}, "ports": [{"name": "http", "port": 80}]}},
)
PORTS = [{"name": "http", "containerPort": 8080}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x.matrix.svc.cluster.local:80", None),
        ("x.matrix.svc.cluster.local:81", "has ports [80]"),
        ("y.matrix.svc.cluster.local", "no such Service"),
        ("x-0.x.matrix.svc.cluster.local:8080", None),
        ("x-0.x.matrix.svc.cluster.local:9", "listens on [8080]"),
        ("x-1.x.matrix.svc.cluster.local:8080", "never more than 1 pods"),
        ("z-0.x.matrix.svc.cluster.local:8080", "selects no StatefulSet z"),
    ],
)
def test_a_host_that_leads_nowhere_is_found(text: str, problem: str | None) -> None:
    cluster = _cluster(_with({}, ports=PORTS), SERVICE)
    (host,) = hosts.hosts(text, DOMAIN)
    why = hosts.problem(cluster, host)
    assert (why is None) if problem is None else (why is not None and problem in why)


def test_ports_beside_hosts_and_ranges_of_hosts_are_read() -> None:
    text = "instance_map:\n  a: {host: x-0.x.matrix.svc.cluster.local, port: 9093}\n"
    assert {h.port for h in hosts.hosts(text, DOMAIN, structured=True)} == {9093}
    pods = {h.pod for h in hosts.hosts("https://x-{0...2}.x.matrix.svc.cluster.local:1/d{0...1}", DOMAIN)}
    assert pods == {"x-0", "x-1", "x-2"}


@pytest.mark.parametrize(
    ("pod", "container"),
    [
        ({"hostNetwork": True}, {}),
        ({"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}, {}),
        ({}, {"securityContext": {"privileged": True}}),
        ({}, {"securityContext": {"allowPrivilegeEscalation": True}}),
        ({}, {"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}}),
        ({}, {"securityContext": {"runAsUser": 0}}),
        ({}, {"ports": [{"containerPort": 80, "hostPort": 80}]}),
    ],
)
def test_a_pod_that_is_not_confined_is_found(pod: dict[str, Any], container: dict[str, Any]) -> None:
    good = next(p for p in Cluster(recording_of("small")).pods if p.owner.kind == "Deployment")
    body = {**good.spec["containers"][0]}
    security = {**body["securityContext"], **container.pop("securityContext", {})}
    spec = {**good.spec, **pod, "containers": [{**body, **container, "securityContext": security}]}
    bad = replace(good, template={**good.template, "spec": spec})
    assert not list(pod_security.violations(good))
    assert list(pod_security.violations(bad))


def _small(kind: str, name: str, change: Any) -> Recording:
    """The small stack in which one object has been broken."""
    small = recording_of("small")
    broken = [
        replace(r, **change(r)) if (r.kind, r.object_name.startswith(name)) == (kind, True) else r
        for r in small.resources
    ]
    assert tuple(broken) != small.resources
    return replace(small, resources=tuple(broken))


def _leak(resource_: Resource) -> dict[str, Any]:
    secret = next(iter(recording_of("small").sentinels))
    return {"inputs": {**resource_.inputs, "data": {**resource_.inputs["data"], "leak": f"password={secret}"}}}


def test_a_secret_in_a_config_is_found() -> None:
    with pytest.raises(AssertionError, match="holds"):
        test_secrets.test_no_secret_is_anywhere_but_in_secrets(_small("ConfigMap", "synapse", _leak))


def test_a_secret_in_base64_is_found() -> None:
    def leak(r: Resource) -> dict[str, Any]:
        return {"inputs": {**r.inputs, "data": {"x": "abcU0VOVElORUxXyz=="}}}

    with pytest.raises(AssertionError, match="base64 of a secret"):
        test_secrets.test_no_secret_is_anywhere_but_in_secrets(_small("ConfigMap", "synapse", leak))


def test_data_without_protection_is_found() -> None:
    broken = _small("Cluster", "postgres", lambda r: {"protect": False})
    with pytest.raises(AssertionError, match="postgres-main"):
        test_safety.test_what_holds_data_is_protected_and_stays_when_the_stack_goes(broken, "small")


def test_a_service_that_selects_nobody_is_found() -> None:
    def strange(r: Resource) -> dict[str, Any]:
        return {"inputs": {**r.inputs, "spec": {**r.inputs["spec"], "selector": {"app": "nobody"}}}}

    broken = Cluster(_small("Service", "minio", strange))
    with pytest.raises(AssertionError, match="selects nobody"):
        test_services.test_every_service_selects_pods_and_leads_to_ports_that_they_name(broken)


def test_a_missing_secret_is_found() -> None:
    small = recording_of("small")
    left = tuple(r for r in small.resources if (r.kind, r.object_name) != ("Secret", "redis-synapse"))
    with pytest.raises(AssertionError, match="Secret redis-synapse"):
        test_references.test_every_secret_and_config_map_that_a_pod_names_exists_with_its_keys(
            Cluster(replace(small, resources=left))
        )


def test_a_pod_without_a_memory_limit_is_found() -> None:
    def unlimited(r: Resource) -> dict[str, Any]:
        inputs = {**r.inputs, "spec": {**r.inputs["spec"]}}
        template = inputs["spec"]["template"]
        body = {**template["spec"]["containers"][0], "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
        inputs["spec"]["template"] = {**template, "spec": {**template["spec"], "containers": [body]}}
        return {"inputs": inputs}

    broken = Cluster(_small("Deployment", "synapse-router", unlimited))
    with pytest.raises(AssertionError, match="synapse-router"):
        test_pods.test_containers_request_cpu_and_memory_and_end_at_a_memory_limit(broken)
