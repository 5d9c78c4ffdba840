"""May A reach B on this port? Answers from rendered NetworkPolicies alone, as Kubernetes defines them.

Written from the API's definition and not from `kube.flows`, so that tests hold the rendered policies to the list of
flows. Two questions have two honest answers, because network plugins differ: whether an `ipBlock` matches the
addresses of pods as well (Calico: yes, Cilium: no). Ask with `blocks_match_pods=True` for what might be open, with
False for what is surely open.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Spec = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod in its namespace. Every namespace carries its name as a label, as Kubernetes makes sure."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_namespace_labels(self) -> dict[str, str]:
        return {**self.namespace_labels, "kubernetes.io/metadata.name": self.namespace}


@dataclass(frozen=True, kw_only=True)
class Outside:
    """An address that is no pod: a client, a node, an external service."""

    ip: str


Party = Pod | Outside


def selects(selector: Spec | None, labels: Mapping[str, str]) -> bool:
    """A label selector. An empty one selects everything, None nothing."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for term in selector.get("matchExpressions") or ():
        value, values = labels.get(term["key"]), term.get("values") or ()
        match term["operator"]:
            case "In":
                matched = value in values
            case "NotIn":
                matched = value not in values
            case "Exists":
                matched = term["key"] in labels
            case "DoesNotExist":
                matched = term["key"] not in labels
            case other:
                raise ValueError(f"unknown operator {other!r} in a label selector")
        if not matched:
            return False
    return True


def _in_block(block: Spec, party: Party, blocks_match_pods: bool) -> bool:
    if isinstance(party, Pod):
        return blocks_match_pods
    address = ip_address(party.ip)
    return address in ip_network(block["cidr"]) and not any(
        address in ip_network(excluded) for excluded in block.get("except") or ()
    )


def _peer_matches(peer: Spec, party: Party, own_namespace: str, blocks_match_pods: bool) -> bool:
    if "ipBlock" in peer:
        return _in_block(peer["ipBlock"], party, blocks_match_pods)
    if not isinstance(party, Pod):
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], party.all_namespace_labels):
            return False
    elif party.namespace != own_namespace:
        return False
    return "podSelector" not in peer or selects(peer["podSelector"], party.labels)


def _port_matches(spec: Spec, port: int, protocol: str) -> bool:
    if spec.get("protocol", "TCP") != protocol:
        return False
    if "port" not in spec:
        return True
    return bool(spec["port"] <= port <= spec.get("endPort", spec["port"]))


class Policies:
    """All NetworkPolicy manifests (metadata, spec) of a cluster, asked again and again.

    Which policies bind a pod is worked out once for each kind of pod: thousands of questions have few askers.
    """

    def __init__(self, manifests: Iterable[Spec]) -> None:
        self._manifests = list(manifests)
        self._binding: dict[tuple[str, str, frozenset[tuple[str, str]]], list[Spec]] = {}

    def binding(self, direction: str, pod: Pod) -> list[Spec]:
        """Specs of the policies that bind `pod` in `direction` (`Ingress` or `Egress`)."""
        key = (direction, pod.namespace, frozenset(pod.labels.items()))
        if key not in self._binding:
            self._binding[key] = [
                policy["spec"]
                for policy in self._manifests
                if policy["metadata"]["namespace"] == pod.namespace
                and direction in policy["spec"]["policyTypes"]
                and selects(policy["spec"]["podSelector"], pod.labels)
            ]
        return self._binding[key]

    def _allow(self, direction: str, own: Party, other: Party, port: int, protocol: str, blocks: bool) -> bool:
        if not isinstance(own, Pod):
            return True  # policies bind pods; the outside is not ours
        binding = self.binding(direction, own)
        if not binding:
            return True
        key, peers_key = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
        for spec in binding:
            for rule in spec.get(key) or ():
                ports, peers = rule.get("ports"), rule.get(peers_key)
                if ports and not any(_port_matches(p, port, protocol) for p in ports):
                    continue
                # A rule without peers is for everybody.
                if not peers or any(_peer_matches(peer, other, own.namespace, blocks) for peer in peers):
                    return True
        return False

    def may_connect(
        self, source: Party, target: Party, port: int, protocol: str = "TCP", *, blocks_match_pods: bool = False
    ) -> bool:
        """Whether `source` may open a connection to `target`."""
        return self._allow("Egress", source, target, port, protocol, blocks_match_pods) and self._allow(
            "Ingress", target, source, port, protocol, blocks_match_pods
        )


def may_connect(
    policies: Iterable[Spec],
    source: Party,
    target: Party,
    port: int,
    protocol: str = "TCP",
    *,
    blocks_match_pods: bool = False,
) -> bool:
    """One question. `policies` are NetworkPolicy manifests; for many questions make `Policies` once."""
    return Policies(policies).may_connect(source, target, port, protocol, blocks_match_pods=blocks_match_pods)
