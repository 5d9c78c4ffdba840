"""Simulated CloudNativePG: instance pods, claims, services and application Secret of a Cluster; Deployments of Poolers.

The pods carry the Cluster's resources, placement and storage, so the real scheduler proves that they fit. They are
owned by the Cluster, so the real garbage collector removes them with it.
"""

import base64
import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

from sandbox.api import Api, Json, core, group
from sandbox.credentials import Authority
from sandbox.simulated.addresses import now

_GROUP = "postgresql.cnpg.io/v1"
_HASH = "sandbox.invalid/instance-hash"
_HEALTHY = "Cluster in healthy state"
_SERVICES: dict[str, dict[str, str]] = {
    "rw": {"cnpg.io/instanceRole": "primary"},
    "ro": {"cnpg.io/instanceRole": "replica"},
    "r": {},
}


class Postgres:
    """One look brings every Cluster one step closer to its specification."""

    def __init__(self, api: Api, keys: Path) -> None:
        self._api = api
        self._authority = Authority(keys / "postgres", "sandbox postgres")

    def look(self) -> None:
        clusters = self._api.list(group(_GROUP, "clusters"))
        if clusters:
            pods = self._api.list(core("pods"), labelSelector="cnpg.io/podRole=instance")
            for cluster in clusters:
                if "deletionTimestamp" not in cluster["metadata"]:
                    self._cluster(cluster, pods)
        for pooler in self._api.list(group(_GROUP, "poolers")):
            if "deletionTimestamp" not in pooler["metadata"]:
                self._pooler(pooler)

    # ---- clusters ----------------------------------------------------------------------------------------------------

    def _cluster(self, cluster: Json, all_pods: list[Json]) -> None:
        name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
        spec, status = cluster["spec"], cluster.get("status", {})
        wanted = int(spec.get("instances", 1))
        pods = {
            pod["metadata"]["name"]: pod
            for pod in all_pods
            if pod["metadata"]["namespace"] == namespace and pod["metadata"]["labels"]["cnpg.io/cluster"] == name
        }
        if not status.get("instances"):
            self._services(cluster)
            self._authority_secret(cluster)
            self._application_secret(cluster)
        names = [f"{name}-{number}" for number in range(1, wanted + 1)]
        primary = status.get("currentPrimary") or names[0]
        for number, instance in enumerate(names, 1):
            if instance in pods:
                continue
            previous = names[number - 2] if number > 1 else ""
            if number > 1 and status.get("phase") != _HEALTHY and not _ready(pods.get(previous)):
                break  # a new cluster grows one by one, as replicas copy the primary
            self._claims(cluster, instance)
            role = "primary" if instance == primary else "replica"
            self._api.create(core("pods", namespace), _pod(cluster, instance, role))
            break
        for extra in sorted(set(pods) - set(names)):
            self._api.delete(core("pods", namespace, extra))
            for claim in _claims_of(cluster, extra):
                self._api.delete(core("persistentvolumeclaims", namespace, claim))
        self._roll(cluster, {n: pods[n] for n in names if n in pods}, primary, wanted)
        self._report(cluster, pods, names, primary)

    def _roll(self, cluster: Json, pods: dict[str, Json], primary: str, wanted: int) -> None:
        """Replace one pod whose specification is old, when all are ready; the primary last."""
        if len(pods) < wanted or not all(_ready(pod) for pod in pods.values()):
            return
        old = [n for n, pod in pods.items() if pod["metadata"]["annotations"].get(_HASH) != _hash(cluster)]
        if old:
            chosen = sorted(old, key=lambda n: n == primary)[0]
            self._api.delete(core("pods", cluster["metadata"]["namespace"], chosen))

    def _report(self, cluster: Json, pods: dict[str, Json], names: list[str], primary: str) -> None:
        ready = sorted(name for name in names if _ready(pods.get(name)))
        healthy = len(ready) == len(names) and not set(pods) - set(names)
        current = all(pods[n]["metadata"]["annotations"].get(_HASH) == _hash(cluster) for n in ready)
        conditions = {c["type"]: c for c in cluster.get("status", {}).get("conditions", [])}
        state = "True" if healthy and current else "False"
        if conditions.get("Ready", {}).get("status") != state:
            conditions["Ready"] = {
                "type": "Ready",
                "status": state,
                "reason": "ClusterIsReady" if state == "True" else "ClusterIsNotReady",
                "message": "simulated",
                "lastTransitionTime": now(),
            }
        status = {
            "phase": _HEALTHY if state == "True" else "Waiting for the instances to become active",
            "instances": len(pods),
            "readyInstances": len(ready),
            "instanceNames": sorted(pods),
            "currentPrimary": primary,
            "targetPrimary": primary,
            "latestGeneratedNode": len(names),
            "writeService": f"{cluster['metadata']['name']}-rw",
            "readService": f"{cluster['metadata']['name']}-r",
            "conditions": list(conditions.values()),
        }
        if any(cluster.get("status", {}).get(key) != value for key, value in status.items()):
            path = group(_GROUP, "clusters", cluster["metadata"]["namespace"], cluster["metadata"]["name"])
            self._api.merge(f"{path}/status", {"status": status})

    def _services(self, cluster: Json) -> None:
        name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
        disabled = cluster["spec"].get("managed", {}).get("services", {}).get("disabledDefaultServices", [])
        for suffix, role in _SERVICES.items():
            if suffix in disabled:
                continue
            spec = {
                "selector": {"cnpg.io/cluster": name, "cnpg.io/podRole": "instance", **role},
                "ports": [{"name": "postgres", "port": 5432, "targetPort": 5432}],
            }
            self._create(core("services", namespace), "v1", "Service", f"{name}-{suffix}", cluster, {"spec": spec})

    def _authority_secret(self, cluster: Json) -> None:
        """`<cluster>-ca`: clients check the server's certificate against it."""
        name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
        data = {"ca.crt": base64.b64encode(self._authority.certificate_path.read_bytes()).decode()}
        self._create(
            core("secrets", namespace), "v1", "Secret", f"{name}-ca", cluster, {"type": "Opaque", "data": data}
        )

    def _application_secret(self, cluster: Json) -> None:
        """The operator makes one only when the Cluster does not bring its own."""
        database = cluster["spec"].get("bootstrap", {}).get("initdb")
        if database is None or "secret" in database:
            return
        name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
        owner = database.get("owner", "app")
        values = {
            "username": owner,
            "user": owner,
            "password": secrets.token_urlsafe(32),
            "host": f"{name}-rw",
            "port": "5432",
            "dbname": database.get("database", "app"),
        }
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        body = {"type": "kubernetes.io/basic-auth", "data": data}
        self._create(core("secrets", namespace), "v1", "Secret", f"{name}-app", cluster, body)

    def _claims(self, cluster: Json, instance: str) -> None:
        namespace = cluster["metadata"]["namespace"]
        for claim, storage in _claims_of(cluster, instance).items():
            template = dict(storage.get("pvcTemplate", {}))
            template.setdefault("accessModes", ["ReadWriteOnce"])
            if "storageClass" in storage:
                template["storageClassName"] = storage["storageClass"]
            if "size" in storage:
                template["resources"] = {"requests": {"storage": storage["size"]}}
            path = core("persistentvolumeclaims", namespace)
            self._create(path, "v1", "PersistentVolumeClaim", claim, cluster, {"spec": template})

    # ---- poolers -----------------------------------------------------------------------------------------------------

    def _pooler(self, pooler: Json) -> None:
        name, namespace = pooler["metadata"]["name"], pooler["metadata"]["namespace"]
        labels = {"cnpg.io/poolerName": name, "cnpg.io/podRole": "pooler"}
        template = json.loads(json.dumps(pooler["spec"].get("template", {})))
        metadata = template.setdefault("metadata", {})
        metadata["labels"] = metadata.get("labels", {}) | labels
        metadata.pop("name", None)
        pod = template.setdefault("spec", {})
        container = {"name": "pgbouncer", "image": "pgbouncer", "securityContext": _container_security()}
        given = pod.get("containers", [])
        first: Json = next((c for c in given if c["name"] == "pgbouncer"), {})
        pod["containers"] = [container | first, *(c for c in given if c["name"] != "pgbouncer")]
        pod.setdefault("securityContext", _pod_security(998))
        instances = int(pooler["spec"].get("instances", 1))
        spec: Json = {"replicas": instances, "selector": {"matchLabels": labels}, "template": template}
        if "deploymentStrategy" in pooler["spec"]:
            spec["strategy"] = pooler["spec"]["deploymentStrategy"]
        digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:12]
        path = group("apps/v1", "deployments", namespace, name)
        deployment = self._api.get(path)
        if deployment is None or deployment["metadata"].get("annotations", {}).get(_HASH) != digest:
            body = {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {
                    "name": name,
                    "annotations": {_HASH: digest},
                    "labels": labels,
                    "ownerReferences": [_owner(pooler)],
                },
                "spec": spec,
            }
            deployment = self._api.apply(path, body)
            ports = [{"name": "pgbouncer", "port": 5432, "targetPort": "pgbouncer"}]
            service = {"spec": {"selector": labels, "ports": ports}}
            self._create(core("services", namespace), "v1", "Service", name, pooler, service)
        if pooler.get("status", {}).get("instances") != instances:
            self._api.merge(group(_GROUP, "poolers", namespace, name) + "/status", {"status": {"instances": instances}})

    def _create(self, path: str, version: str, kind: str, name: str, owner: Json, body: Json) -> None:
        metadata: Json = {"name": name, "ownerReferences": [_owner(owner)]}
        if owner["kind"] == "Cluster":
            metadata["labels"] = {"cnpg.io/cluster": owner["metadata"]["name"]}
        self._api.create(path, {"apiVersion": version, "kind": kind, "metadata": metadata, **body})


# ---- shapes ----------------------------------------------------------------------------------------------------------


def _ready(pod: Json | None) -> bool:
    if pod is None or "deletionTimestamp" in pod["metadata"]:
        return False
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _owner(item: Json) -> Json:
    return {
        "apiVersion": _GROUP,
        "kind": item["kind"],
        "name": item["metadata"]["name"],
        "uid": item["metadata"]["uid"],
        "controller": True,
    }


def _claims_of(cluster: Json, instance: str) -> dict[str, Any]:
    """Claim names of one instance, with the part of the Cluster that describes each."""
    spec = cluster["spec"]
    claims: dict[str, Any] = {instance: spec.get("storage", {})}
    if "walStorage" in spec:
        claims[f"{instance}-wal"] = spec["walStorage"]
    for space in spec.get("tablespaces", []):
        claims[f"{instance}-tbs-{space['name']}"] = space["storage"]
    return claims


def _pod_security(user: int) -> Json:
    profile = {"type": "RuntimeDefault"}
    return {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user, "seccompProfile": profile}


def _container_security() -> Json:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }


def _placement(cluster: Json) -> Json:
    """Scheduling fields of an instance pod, as the operator derives them from spec.affinity."""
    spec, name = cluster["spec"], cluster["metadata"]["name"]
    affinity = spec.get("affinity", {})
    result: Json = {}
    if "nodeSelector" in affinity:
        result["nodeSelector"] = affinity["nodeSelector"]
    if "tolerations" in affinity:
        result["tolerations"] = affinity["tolerations"]
    if "topologySpreadConstraints" in spec:
        result["topologySpreadConstraints"] = spec["topologySpreadConstraints"]
    if "priorityClassName" in spec:
        result["priorityClassName"] = spec["priorityClassName"]
    rules: Json = {}
    if "nodeAffinity" in affinity:
        rules["nodeAffinity"] = affinity["nodeAffinity"]
    if "additionalPodAffinity" in affinity:
        rules["podAffinity"] = affinity["additionalPodAffinity"]
    apart: Json = json.loads(json.dumps(affinity.get("additionalPodAntiAffinity", {})))
    if affinity.get("enablePodAntiAffinity", True):
        term = {
            "labelSelector": {"matchLabels": {"cnpg.io/cluster": name, "cnpg.io/podRole": "instance"}},
            "topologyKey": affinity.get("topologyKey", "kubernetes.io/hostname"),
        }
        if affinity.get("podAntiAffinityType", "preferred") == "required":
            apart.setdefault("requiredDuringSchedulingIgnoredDuringExecution", []).append(term)
        else:
            preferred = {"weight": 100, "podAffinityTerm": term}
            apart.setdefault("preferredDuringSchedulingIgnoredDuringExecution", []).append(preferred)
    if apart:
        rules["podAntiAffinity"] = apart
    return result | ({"affinity": rules} if rules else {})


def _body(cluster: Json) -> Json:
    """What is the same in every instance: a change of it replaces the pods."""
    spec = cluster["spec"]
    return {
        "image": spec.get("imageName", "ghcr.io/cloudnative-pg/postgresql"),
        "resources": spec.get("resources", {}),
        "placement": _placement(cluster),
        "env": spec.get("env", []),
        "inherited": spec.get("inheritedMetadata", {}),
        "plugins": [p["name"] for p in spec.get("plugins", []) if p.get("enabled", True)],
    }


def _hash(cluster: Json) -> str:
    return hashlib.sha256(json.dumps(_body(cluster), sort_keys=True).encode()).hexdigest()[:12]


def _pod(cluster: Json, instance: str, role: str) -> Json:
    name, body = cluster["metadata"]["name"], _body(cluster)
    user = int(cluster["spec"].get("postgresUID", 26))
    labels = body["inherited"].get("labels", {}) | {
        "app.kubernetes.io/name": "postgresql",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": "database",
        "app.kubernetes.io/managed-by": "cloudnative-pg",
        "cnpg.io/cluster": name,
        "cnpg.io/instanceName": instance,
        "cnpg.io/instanceRole": role,
        "cnpg.io/podRole": "instance",
        "role": role,
    }
    mounts = [
        {"name": f"volume-{number}", "mountPath": f"/var/lib/postgresql/volume-{number}"}
        for number, _ in enumerate(_claims_of(cluster, instance))
    ]
    volumes = [
        {"name": f"volume-{number}", "persistentVolumeClaim": {"claimName": claim}}
        for number, claim in enumerate(_claims_of(cluster, instance))
    ]
    container = {
        "name": "postgres",
        "image": body["image"],
        "resources": body["resources"],
        "env": body["env"],
        "ports": [{"name": "postgresql", "containerPort": 5432}, {"name": "metrics", "containerPort": 9187}],
        "securityContext": _container_security(),
        "volumeMounts": mounts,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": instance,
            "labels": labels,
            "annotations": body["inherited"].get("annotations", {}) | {_HASH: _hash(cluster)},
            "ownerReferences": [_owner(cluster)],
        },
        "spec": {
            "hostname": instance,
            "containers": [container],
            "volumes": volumes,
            "securityContext": _pod_security(user),
            "automountServiceAccountToken": False,
            **body["placement"],
        },
    }
