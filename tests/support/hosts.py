"""Hosts inside the cluster that configs, arguments, variables and objects name, and what they lead to."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from stack.resources import Resource, leaves
from tests.support.cluster import Body, Cluster, Pod

_RANGE = re.compile(r"([\w.-]*)\{(\d+)\.{2,3}(\d+)\}([\w.:-]*)")


@dataclass(frozen=True)
class Host:
    """`service` or `pod.service` in a namespace, with the port if the text gives one."""

    service: str
    namespace: str
    pod: str = ""
    port: int | None = None

    def __str__(self) -> str:
        name = f"{self.pod}.{self.service}" if self.pod else self.service
        return f"{name}.{self.namespace}" + (f":{self.port}" if self.port else "")


def _expanded(text: str) -> str:
    """`minio-{0...2}.nodes` as `minio-0.nodes minio-1.nodes minio-2.nodes`."""

    def each(match: re.Match[str]) -> str:
        before, first, last, after = match.groups()
        return " ".join(f"{before}{number}{after}" for number in range(int(first), int(last) + 1))

    return _RANGE.sub(each, text)


def _structured(text: str) -> Iterator[tuple[str, int]]:
    """(host, port) that YAML and JSON texts keep in two neighbouring keys."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    stack: list[Any] = [document]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            if isinstance(item.get("host"), str) and isinstance(item.get("port"), int):
                yield item["host"], item["port"]
            stack += item.values()
        elif isinstance(item, list):
            stack += item


def hosts(text: str, domain: str, *, structured: bool = False) -> frozenset[Host]:
    """Every host of the cluster that a text names. With `structured`, ports of YAML mappings are found as well."""
    return _hosts(text, domain, structured) if f".svc.{domain}" in text else frozenset()


@cache
def _hosts(text: str, domain: str, structured: bool) -> frozenset[Host]:
    pattern = re.compile(
        rf"(?:([a-z0-9][a-z0-9-]*)\.)?([a-z0-9][a-z0-9-]*)\.([a-z0-9-]+)\.svc\.{re.escape(domain)}(?::(\d+))?"
    )
    texts = _expanded(text)
    if structured:
        texts += "\n" + "\n".join(f"{host}:{port}" for host, port in _structured(text))
    found = {
        Host(pod=pod or "", service=service, namespace=namespace, port=int(port) if port else None)
        for pod, service, namespace, port in pattern.findall(texts)
    }
    # Where a port is known, the mere name says nothing more.
    known = {(h.service, h.namespace, h.pod) for h in found if h.port}
    return frozenset(h for h in found if h.port or (h.service, h.namespace, h.pod) not in known)


def named_in(resource: Resource, domain: str) -> set[Host]:
    """Hosts that an object names anywhere."""
    result: set[Host] = set()
    for path, value in leaves(resource.inputs):
        if isinstance(value, str) and ".svc." in value:
            result |= hosts(value, domain, structured=str(path[-1]).endswith((".yaml", ".json")))
    return result


def has_spare_slots(resource: Resource) -> bool:
    """Whether it configures a HAProxy that bears servers without an address: it keeps slots for pods to come."""
    return any("init-addr none" in str(text) for text in (resource.inputs.get("data") or {}).values())


def replicas_at_most(cluster: Cluster, workload: Resource) -> int:
    """How many pods a workload may have: what its autoscaler allows, if it has one."""
    most = int(workload.inputs["spec"].get("replicas", 1))
    for scaler in cluster.recording.of_kind("HorizontalPodAutoscaler"):
        target = scaler.inputs["spec"]["scaleTargetRef"]
        named = (target["kind"], scaler.namespace, target["name"])
        if named == (workload.kind, workload.namespace, workload.object_name):
            most = max(most, int(scaler.inputs["spec"]["maxReplicas"]))
    return most


def made_by_operators(cluster: Cluster) -> dict[tuple[str, str], set[int]]:
    """(namespace, Service) -> ports, of Services that an operator makes for a custom resource of ours."""
    found: dict[tuple[str, str], set[int]] = {}
    for resource in cluster.recording.of_kind("Cluster", "Pooler"):
        names = [""] if resource.kind == "Pooler" else ["-rw", "-ro", "-r"]
        for suffix in names:
            found[resource.namespace, f"{resource.object_name}{suffix}"] = {5432}
    return found


def problem(cluster: Cluster, host: Host, *, spare: bool = False) -> str | None:
    """Why a host leads nowhere; None when it is fine. `spare`: pods that do not exist yet may be named."""
    made = made_by_operators(cluster).get((host.namespace, host.service))
    if made is not None:
        return None if host.port in (None, *made) else f"has ports {sorted(made)}"
    service = cluster.get("Service", host.namespace, host.service)
    if service is None:
        return "no such Service"
    spec: Body = service.inputs["spec"]
    pods = cluster.selected(host.namespace, spec["selector"])
    if host.pod:
        return _pod_problem(cluster, host, spec, pods, spare)
    ports = {port["port"] for port in spec["ports"]}
    if host.port not in (None, *ports):
        return f"the Service has ports {sorted(ports)}"
    return None


def _pod_problem(cluster: Cluster, host: Host, spec: Body, pods: list[Pod], spare: bool) -> str | None:
    name, _, ordinal = host.pod.rpartition("-")
    owner = next((p for p in pods if p.owner.kind == "StatefulSet" and p.owner.object_name == name), None)
    if owner is None:
        return f"the Service selects no StatefulSet {name}"
    if spec.get("clusterIP") != "None":
        return "only a headless Service gives pods names"
    if owner.owner.inputs["spec"]["serviceName"] != host.service:
        return "the StatefulSet names another Service"
    if not spare and int(ordinal) >= replicas_at_most(cluster, owner.owner):
        return f"there are never more than {replicas_at_most(cluster, owner.owner)} pods"
    if host.port not in (None, *dict(owner.ports).values(), *(number for _, number in owner.ports)):
        return f"the pod listens on {sorted(number for _, number in owner.ports)}"
    return None


def target_ports(cluster: Cluster, host: Host) -> list[tuple[Pod, int]]:
    """The pods of ours, with their own port, that a connection to this host and port ends at."""
    service = cluster.get("Service", host.namespace, host.service)
    if service is None or host.port is None:
        return []
    pods = cluster.selected(host.namespace, service.inputs["spec"]["selector"])
    if host.pod:
        return [(p, host.port) for p in pods if p.owner.object_name == host.pod.rpartition("-")[0]]
    result = []
    for port in service.inputs["spec"]["ports"]:
        if port["port"] == host.port:
            target = port.get("targetPort", port["port"])
            result += [(p, target if isinstance(target, int) else dict(p.ports)[target]) for p in pods]
    return result
