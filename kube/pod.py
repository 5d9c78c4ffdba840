"""Pods: security, size, probes, spread. Everything a workload of ours has in common is decided here, once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kube.names import POOL_LABEL, labels, selector
from kube.quantity import format_bytes, format_cpu

Spec = dict[str, Any]
"""A piece of a Kubernetes object, as plain data in the API's own camelCase."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Requests and limits of one pod's main container. CPU in millicores, memory in bytes.

    Memory always has a limit: one leaking process must not take its node along. CPU has none unless asked for:
    throttling a Python process costs latency and saves nothing.
    """

    cpu: int
    memory: int
    memory_limit: int
    cpu_limit: int | None = None

    def spec(self) -> Spec:
        limits = {"memory": format_bytes(self.memory_limit)}
        if self.cpu_limit is not None:
            limits["cpu"] = format_cpu(self.cpu_limit)
        return {"requests": {"cpu": format_cpu(self.cpu), "memory": format_bytes(self.memory)}, "limits": limits}


class Spread(Enum):
    """How the replicas of a workload lie on nodes."""

    PREFER = "ScheduleAnyway"
    """Evenly if possible; a full cluster may stack them."""
    REQUIRE = "DoNotSchedule"
    """Never two on one node: for quorums and for data."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What the scheduler must place, and what the capacity report counts: one source for both.

    `sidecars` are the other containers of the same pod (their requests count as well). `max_replicas` is what an
    autoscaler may grow to; capacity is checked against it.
    """

    name: str
    namespace: str
    component: str
    pool: str
    replicas: int
    resources: Resources
    sidecars: tuple[Resources, ...] = ()
    max_replicas: int | None = None
    spread: Spread = Spread.PREFER
    uid: int = 65532
    priority_class: str | None = None

    @property
    def peak_replicas(self) -> int:
        return max(self.replicas, self.max_replicas or 0)

    @property
    def cpu(self) -> int:
        """Millicores that one pod requests."""
        return self.resources.cpu + sum(s.cpu for s in self.sidecars)

    @property
    def memory(self) -> int:
        """Bytes that one pod requests."""
        return self.resources.memory + sum(s.memory for s in self.sidecars)

    @property
    def selector(self) -> dict[str, str]:
        return selector(self.name, self.component)

    @property
    def labels(self) -> dict[str, str]:
        return labels(self.name, self.component)


def pod_security(uid: int) -> Spec:
    """Pod-level security context that Pod Security `restricted` accepts. Group equals user; volumes belong to it."""
    return {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": uid,
        "fsGroup": uid,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


CONTAINER_SECURITY: Spec = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def http_probe(
    path: str, port: int | str, *, period: int = 10, timeout: int = 5, failures: int = 3, tls: bool = False
) -> Spec:
    """HTTP GET probe; seconds. With `tls` over HTTPS: the kubelet does not verify the certificate."""
    return {
        "httpGet": {"path": path, "port": port, **({"scheme": "HTTPS"} if tls else {})},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def tcp_probe(port: int | str, *, period: int = 10, timeout: int = 5, failures: int = 3) -> Spec:
    """TCP connect probe; seconds."""
    return {
        "tcpSocket": {"port": port},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def exec_probe(command: Sequence[str], *, period: int = 10, timeout: int = 5, failures: int = 3) -> Spec:
    """Command probe; seconds. Arguments are visible in the pod: never a secret."""
    return {
        "exec": {"command": list(command)},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container of ours: explicit command, read-only root, probes. `env` values are text or SecretRef.env()."""

    name: str
    image: str
    command: Sequence[str]
    resources: Resources
    ports: Mapping[str, int] = field(default_factory=dict)
    udp_ports: Mapping[str, int] = field(default_factory=dict)
    env: Mapping[str, str | Spec] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)
    """path in the container -> volume name, read-only"""
    writable: Mapping[str, str] = field(default_factory=dict)
    """path in the container -> volume name, read-write"""
    startup: Spec | None = None
    readiness: Spec | None = None
    liveness: Spec | None = None
    pre_stop: Sequence[str] = ()

    def spec(self) -> Spec:
        result: Spec = {
            "name": self.name,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": list(self.command),
            "resources": self.resources.spec(),
            "securityContext": CONTAINER_SECURITY,
        }
        ports = [{"name": n, "containerPort": p, "protocol": "TCP"} for n, p in self.ports.items()]
        ports += [{"name": n, "containerPort": p, "protocol": "UDP"} for n, p in self.udp_ports.items()]
        mounts: list[Spec] = [{"name": v, "mountPath": path, "readOnly": True} for path, v in self.mounts.items()]
        mounts += [{"name": v, "mountPath": path} for path, v in self.writable.items()]
        optional: Spec = {
            "ports": ports,
            "env": [
                {"name": n, "value": v} if isinstance(v, str) else {"name": n, "valueFrom": v}
                for n, v in self.env.items()
            ],
            "volumeMounts": mounts,
            "startupProbe": self.startup,
            "readinessProbe": self.readiness,
            "livenessProbe": self.liveness,
            "lifecycle": {"preStop": {"exec": {"command": list(self.pre_stop)}}} if self.pre_stop else None,
        }
        return {**result, **{key: value for key, value in optional.items() if value}}


def secret_volume(name: str, secret: str, items: Mapping[str, str] | None = None) -> Spec:
    """Volume of a Secret, readable by the pod's group only. `items`: key -> file name; all keys when None."""
    source: Spec = {"secretName": secret, "defaultMode": 0o440}
    if items is not None:
        source["items"] = [{"key": key, "path": path} for key, path in items.items()]
    return {"name": name, "secret": source}


def scratch_volume(name: str, *, size: int, memory: bool = False) -> Spec:
    """emptyDir limited to `size` bytes. In memory it counts against the pod's memory limit."""
    source: Spec = {"sizeLimit": format_bytes(size)}
    return {"name": name, "emptyDir": {**source, "medium": "Memory"} if memory else source}


def pool_tolerations(pool: str) -> list[Spec]:
    """Tolerations that let a pod onto the nodes of its pool (application nodes have no taint)."""
    return [{"key": POOL_LABEL, "operator": "Equal", "value": pool, "effect": "NoSchedule"}]


def pod_template(
    workload: Workload,
    containers: Sequence[Container],
    volumes: Sequence[Spec] = (),
    *,
    init: Sequence[Container] = (),
    grace_seconds: int = 30,
    host_aliases: Sequence[Spec] = (),
    pull_secrets: Sequence[str] = (),
    extra_labels: Mapping[str, str] | None = None,
) -> Any:
    """The pod template of a workload: placed on its pool, spread over nodes, secured, without an API token."""
    spec: Spec = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(workload.uid),
        "nodeSelector": {POOL_LABEL: workload.pool},
        "tolerations": pool_tolerations(workload.pool),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": workload.spread.value,
                "labelSelector": {"matchLabels": workload.selector},
            }
        ],
        "terminationGracePeriodSeconds": grace_seconds,
        "containers": [c.spec() for c in containers],
    }
    if workload.spread is Spread.REQUIRE:
        # A spread constraint of skew 1 still lets two share a node once every node has one; anti-affinity does not.
        spec["affinity"] = {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": workload.selector}}
                ]
            }
        }
        del spec["topologySpreadConstraints"]
    optional: Spec = {
        "initContainers": [c.spec() for c in init],
        "volumes": list(volumes),
        "hostAliases": list(host_aliases),
        "imagePullSecrets": [{"name": name} for name in pull_secrets],
        "priorityClassName": workload.priority_class,
    }
    spec.update({key: value for key, value in optional.items() if value})
    return {"metadata": {"labels": {**workload.labels, **(extra_labels or {})}}, "spec": spec}


def disruption_budget(workload: Workload, *, min_available: int | None = None) -> Any:
    """Spec of a PodDisruptionBudget: one pod at a time may be taken away, unless a quorum asks for more."""
    rule: Spec = {"maxUnavailable": 1} if min_available is None else {"minAvailable": min_available}
    return {**rule, "selector": {"matchLabels": workload.selector}}
