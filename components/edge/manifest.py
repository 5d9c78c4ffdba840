"""What every object of the edge has in common."""

from dataclasses import dataclass, field
from typing import Any

Spec = dict[str, Any]

GATEWAY_API = "gateway.networking.k8s.io/v1"
ENVOY_API = "gateway.envoyproxy.io/v1alpha1"
CERT_MANAGER_API = "cert-manager.io/v1"
METALLB_API = "metallb.io/v1beta1"

POOL_NAME = "synapse-platform"
REDIRECT = "redirect-to-https"

ACCEPTED = 'jsonpath={.status.parents[0].conditions[?(@.type=="Accepted")].status}=True'
READY = "condition=Ready"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One object. `after`: manifests that must be there (and ready, where they wait) before; a key is kind/name."""

    api: str
    kind: str
    name: str
    namespace: str | None
    spec: Spec
    wait: str | None = None
    timeout_seconds: int | None = None
    after: tuple[str, ...] = field(default=())

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def annotations(self) -> dict[str, str]:
        result = {}
        if self.wait:
            result["pulumi.com/waitFor"] = self.wait
        if self.timeout_seconds:
            result["pulumi.com/timeoutSeconds"] = str(self.timeout_seconds)
        return result
