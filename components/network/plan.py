"""Which namespaces we own, what their pods may do on a node, and whom they may talk to.

Decided here: policies are made from the flow list alone, one for each kind of pods, so that a policy can be read
beside the pods that it is for. One policy for each flow was the alternative; it costs five times the objects, and
with them seconds in every preview.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from components.network.settings import NetworkSettings
from kube.flows import API_SERVER, Addresses, Flow, Policy, policies


class PodSecurity(StrEnum):
    """Levels of Kubernetes' Pod Security Standards."""

    RESTRICTED = "restricted"
    BASELINE = "baseline"
    PRIVILEGED = "privileged"


@dataclass(frozen=True, kw_only=True)
class NamespacePlan:
    """One namespace. `reason` says why its level is not `restricted`; it is shown on the object."""

    name: str
    level: PodSecurity = PodSecurity.RESTRICTED
    reason: str = ""

    def __post_init__(self) -> None:
        if self.level is not PodSecurity.RESTRICTED and not self.reason:
            raise ValueError(f"namespace {self.name} is {self.level} without a reason")

    @property
    def labels(self) -> dict[str, str]:
        """Enforced, and told to whoever breaks it: a warning to the client, an entry in the audit log."""
        level = self.level.value
        return {
            "app.kubernetes.io/part-of": "synapse-platform",
            "app.kubernetes.io/managed-by": "pulumi",
            **{f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn", "audit")},
        }

    @property
    def annotations(self) -> dict[str, str]:
        return {"synapse-platform/pod-security-reason": self.reason} if self.reason else {}


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """Namespaces of ours, and every NetworkPolicy in them. `protect`: namespaces hold data and are kept."""

    namespaces: tuple[NamespacePlan, ...]
    policies: tuple[Policy, ...]
    protect: bool


def api_server(settings: NetworkSettings) -> Addresses:
    """Where the Kubernetes API answers, as a peer of flows."""
    told = settings.api_server != API_SERVER.cidrs
    return Addresses(name=API_SERVER.name, cidrs=settings.api_server) if told else API_SERVER


def make_plan(namespaces: Iterable[NamespacePlan], flows: Iterable[Flow], *, protect: bool) -> NetworkPlan:
    """Default deny in each of `namespaces`, and what `flows` open."""
    ours = tuple(sorted(namespaces, key=lambda n: n.name))
    rendered = tuple(policies(flows, [n.name for n in ours]))
    seen = {(p.namespace, p.name) for p in rendered}
    if len(seen) != len(rendered):
        raise ValueError("two kinds of pods share a name in one namespace: their policies would overwrite each other")
    return NetworkPlan(namespaces=ours, policies=rendered, protect=protect)
