"""Values of each operator's chart: our images, our sizes, our nodes. Pure data out of the platform."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kube.context import Platform
from kube.names import POOL_LABEL
from kube.pod import Resources, Workload, pool_tolerations
from kube.quantity import MI

POOL = "application"

SMALL = Resources(cpu=20, memory=64 * MI, memory_limit=256 * MI)
"""Controllers that hold a few hundred objects in memory. Limits leave room for a full resynchronisation."""
MEDIUM = Resources(cpu=50, memory=128 * MI, memory_limit=512 * MI)
"""Controllers that cache Secrets or whole object graphs."""
GATEWAY = Resources(cpu=100, memory=256 * MI, memory_limit=1024 * MI)
"""Upstream's own numbers for the Envoy Gateway controller."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """Values for one chart, and the pods that come of it."""

    values: Mapping[str, Any]
    workloads: tuple[Workload, ...]


@dataclass(frozen=True)
class Reference:
    """A full image reference in the parts that charts ask for."""

    full: str

    @property
    def _at(self) -> tuple[str, str]:
        name, _, digest = self.full.partition("@")
        return name, digest

    @property
    def repository(self) -> str:
        """`registry:5000/path/name`: everything before the tag."""
        name, _ = self._at
        head, slash, last = name.rpartition("/")
        return f"{head}{slash}{last.partition(':')[0]}"

    @property
    def tag(self) -> str:
        """The tag, with the digest where one is pinned: charts put a colon before it and nothing behind."""
        name, digest = self._at
        tag = name.rpartition("/")[2].partition(":")[2]
        return f"{tag}@{digest}" if digest else tag

    @property
    def registry(self) -> str:
        return self.repository.partition("/")[0]

    @property
    def path(self) -> str:
        return self.repository.partition("/")[2]


def _image(platform: Platform, name: str) -> Reference:
    return Reference(platform.images.ref(name))


def _repository_and_tag(platform: Platform, name: str) -> dict[str, str]:
    image = _image(platform, name)
    return {"repository": image.repository, "tag": image.tag}


def _placed() -> dict[str, Any]:
    return {"nodeSelector": {POOL_LABEL: POOL}, "tolerations": pool_tolerations(POOL)}


def _pull_secrets(platform: Platform) -> list[dict[str, str]]:
    return [{"name": name} for name in platform.pull_secrets]


def _workload(name: str, namespace: str, resources: Resources, replicas: int = 1) -> Workload:
    return Workload(
        name=name, namespace=namespace, component="operator", pool=POOL, replicas=replicas, resources=resources
    )


def cert_manager(platform: Platform, namespace: str) -> Made:
    """Two controllers and three webhooks: a webhook that is away stops every change of a certificate."""

    def part(image: str, size: Resources) -> dict[str, Any]:
        return {"image": _repository_and_tag(platform, image), "resources": size.spec(), **_placed()}

    return Made(
        values={
            "global": {
                "imagePullSecrets": _pull_secrets(platform),
                "leaderElection": {"namespace": namespace},
            },
            "crds": {"enabled": True, "keep": True},
            **part("cert-manager-controller", MEDIUM),
            "replicaCount": 2,
            "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
            "config": {
                "apiVersion": "controller.config.cert-manager.io/v1alpha1",
                "kind": "ControllerConfiguration",
                "enableGatewayAPI": True,
            },
            "webhook": {
                **part("cert-manager-webhook", SMALL),
                "replicaCount": 3,
                "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
            },
            "cainjector": {**part("cert-manager-cainjector", MEDIUM)},
            "acmesolver": {"image": _repository_and_tag(platform, "cert-manager-acmesolver")},
            "startupapicheck": part("cert-manager-startupapicheck", SMALL),
        },
        workloads=(
            _workload("cert-manager", namespace, MEDIUM, 2),
            _workload("cert-manager-webhook", namespace, SMALL, 3),
            _workload("cert-manager-cainjector", namespace, MEDIUM),
        ),
    )


def cloudnative_pg(platform: Platform, namespace: str) -> Made:
    """Two controllers, one of which leads: failovers wait for it."""
    return Made(
        values={
            "image": _repository_and_tag(platform, "cloudnative-pg"),
            "imagePullSecrets": _pull_secrets(platform),
            "replicaCount": 2,
            "resources": MEDIUM.spec(),
            "config": {
                "data": {
                    # Instance pods pull their images with these, where Secrets of this name exist.
                    **({"PULL_SECRET_NAME": platform.pull_secrets[0]} if platform.pull_secrets else {}),
                    # A new operator restarts every instance otherwise, all clusters at once.
                    "CLUSTERS_ROLLOUT_DELAY": "120",
                    "INSTANCES_ROLLOUT_DELAY": "30",
                }
            },
            **_placed(),
        },
        workloads=(_workload("cloudnative-pg", namespace, MEDIUM, 2),),
    )


def barman_cloud_plugin(platform: Platform, namespace: str) -> Made:
    """The plugin, and the image of the sidecar that it puts into every instance pod."""
    plugin, sidecar = _image(platform, "barman-cloud-plugin"), _image(platform, "barman-cloud-sidecar")
    return Made(
        values={
            "image": {"registry": plugin.registry, "repository": plugin.path, "tag": plugin.tag},
            "sidecarImage": {"registry": sidecar.registry, "repository": sidecar.path, "tag": sidecar.tag},
            "imagePullSecrets": _pull_secrets(platform),
            "resources": SMALL.spec(),
            **_placed(),
        },
        workloads=(_workload("plugin-barman-cloud", namespace, SMALL),),
    )


def metallb(platform: Platform, namespace: str) -> Made:
    """Layer 2 only: no BGP, so no FRR beside the speakers. Speakers run on every node, tainted ones too."""
    return Made(
        values={
            "imagePullSecrets": _pull_secrets(platform),
            "controller": {
                "image": {**_repository_and_tag(platform, "metallb-controller"), "pullPolicy": "IfNotPresent"},
                "resources": SMALL.spec(),
                **_placed(),
            },
            "speaker": {
                "image": {**_repository_and_tag(platform, "metallb-speaker"), "pullPolicy": "IfNotPresent"},
                "resources": SMALL.spec(),
                # An address is announced where the edge's pods run, and these run on application nodes. One speaker on
                # each of these is within what stack.capacity keeps back on every node.
                **_placed(),
                "frr": {"enabled": False},
            },
            "frrk8s": {"enabled": False},
            "crds": {"enabled": True},
        },
        workloads=(_workload("metallb-controller", namespace, SMALL),),
    )


def envoy_gateway(platform: Platform, namespace: str) -> Made:
    """The controller. The proxies themselves belong to the edge's Gateway, which sizes them."""
    gateway = platform.images.ref("envoy-gateway")
    return Made(
        values={
            "global": {
                "images": {
                    "envoyGateway": {"image": gateway, "pullPolicy": "IfNotPresent"},
                    "envoyProxy": {"image": platform.images.ref("envoy"), "pullPolicy": "IfNotPresent"},
                },
                "imagePullSecrets": _pull_secrets(platform),
            },
            "deployment": {
                "envoyGateway": {"resources": GATEWAY.spec()},
                "replicas": 2,
                "pod": _placed(),
            },
            "podDisruptionBudget": {"minAvailable": 1},
            "certgen": {"job": {"resources": SMALL.spec(), **_placed()}},
            "kubernetesClusterDomain": platform.cluster_domain,
            # Off: it is a webhook in the way of every pod of the proxies, and nothing here is routed by zone.
            "topologyInjector": {"enabled": False},
        },
        workloads=(_workload("envoy-gateway", namespace, GATEWAY, 2),),
    )


MAKERS: Mapping[str, Callable[[Platform, str], Made]] = {
    "cert_manager": cert_manager,
    "cloudnative_pg": cloudnative_pg,
    "barman_cloud_plugin": barman_cloud_plugin,
    "metallb": metallb,
    "envoy_gateway": envoy_gateway,
}
