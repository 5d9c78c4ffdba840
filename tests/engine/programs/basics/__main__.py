"""One of each kind that the sandbox promises to finish, and the engine to wait for."""

import pulumi
import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

config = pulumi.Config()
replicas = config.get_int("replicas") or 2
namespace = k8s.core.v1.Namespace(
    "basics", metadata={"name": "basics", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
)
inside = ResourceOptions(depends_on=[namespace])


def meta(name: str, **annotations: str) -> dict[str, object]:
    marks = {key.replace("_", "/", 1): value for key, value in annotations.items()}
    return {"name": name, "namespace": "basics", "annotations": marks}


def pod(name: str, cpu: str = "100m", **spec: object) -> dict[str, object]:
    container = {
        "name": "main",
        "image": "example.invalid/program:1",
        "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [container], "securityContext": security, **spec},
    }


def selector(name: str) -> dict[str, object]:
    return {"matchLabels": {"app": name}}


k8s.core.v1.ConfigMap("settings", metadata=meta("settings"), data={"key": "value"}, opts=inside)
k8s.apps.v1.Deployment(
    "web",
    metadata=meta("web", **{"pulumi.com_timeoutSeconds": config.get("timeout") or "120"}),
    spec={"replicas": replicas, "selector": selector("web"), "template": pod("web", config.get("cpu") or "100m")},
    opts=inside,
)
claim = {
    "metadata": {"name": "data"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "1Gi"}},
    },
}
k8s.apps.v1.StatefulSet(
    "store",
    metadata=meta("store"),
    spec={
        "replicas": 2,
        "serviceName": "store",
        "selector": selector("store"),
        "template": pod("store"),
        "volumeClaimTemplates": [claim],
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
    },
    opts=inside,
)
k8s.batch.v1.Job("once", metadata=meta("once"), spec={"template": pod("once", restartPolicy="Never")}, opts=inside)
balancer = k8s.core.v1.Service(
    "edge",
    metadata=meta("edge"),
    spec={"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 443, "targetPort": 8443}]},
    opts=inside,
)
k8s.apiextensions.CustomResource(
    "postgres",
    api_version="postgresql.cnpg.io/v1",
    kind="Cluster",
    metadata=meta("postgres", **{"pulumi.com_waitFor": "condition=Ready"}),
    spec={
        "instances": 3,
        "storage": {"size": "1Gi", "storageClass": "fast"},
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "affinity": {"podAntiAffinityType": "required"},
    },
    opts=inside,
)
k8s.apiextensions.CustomResource(
    "issuer",
    api_version="cert-manager.io/v1",
    kind="Issuer",
    metadata=meta("issuer", **{"pulumi.com_waitFor": "condition=Ready"}),
    spec={"selfSigned": {}},
    opts=inside,
)
k8s.apiextensions.CustomResource(
    "certificate",
    api_version="cert-manager.io/v1",
    kind="Certificate",
    metadata=meta("certificate", **{"pulumi.com_waitFor": "condition=Ready"}),
    spec={"secretName": "web-tls", "dnsNames": ["chat.example.org"], "issuerRef": {"name": "issuer"}},
    opts=inside,
)
pulumi.export("address", balancer.status.load_balancer.ingress[0].ip)
