"""Who may talk to whom: one list, from which NetworkPolicies, reachability tests and the diagram come.

Default is deny, both ways, in every namespace of ours. A `Flow` opens exactly one direction: egress at its source
and ingress at its target. Peers that are not pods of ours (nodes, the internet, the API server) get the half that
we can enforce.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Spec = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Pods of one kind in one namespace, selected by labels. `name` is what people call them."""

    name: str
    namespace: str
    labels: tuple[tuple[str, str], ...]

    @staticmethod
    def of(name: str, namespace: str, labels: Mapping[str, str]) -> "Pods":
        return Pods(name=name, namespace=namespace, labels=tuple(sorted(labels.items())))

    @property
    def match(self) -> Spec:
        return {"matchLabels": dict(self.labels)}


@dataclass(frozen=True, kw_only=True)
class AnyPodIn:
    """All pods of a namespace that is not ours to select more finely (an operator's, the gateway's)."""

    name: str
    namespace: str


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Addresses outside the pod network: clients, nodes, external services. `cidrs` as IPv4 networks.

    `everything` leaves the peer out of the rule: any address of any family, nodes and pods included. Network plugins
    with identities (Cilium) do not let an address block match a node, so whoever must reach nodes whose addresses we
    were not told needs this.
    """

    name: str
    cidrs: tuple[str, ...] = ("0.0.0.0/0",)
    except_cidrs: tuple[str, ...] = ()
    everything: bool = False


Peer = Pods | AnyPodIn | Addresses


@dataclass(frozen=True, order=True)
class Port:
    """One port, or a range up to `end`. The number is the pod's port, not the Service's."""

    number: int
    protocol: str = "TCP"
    end: int | None = None

    @property
    def spec(self) -> Spec:
        result: Spec = {"protocol": self.protocol, "port": self.number}
        return {**result, "endPort": self.end} if self.end else result


@dataclass(frozen=True, kw_only=True)
class Flow:
    """`source` opens connections to `target` on `ports`, and `why` says what for."""

    source: Peer
    target: Peer
    ports: tuple[Port, ...]
    why: str


API_SERVER = Addresses(name="Kubernetes API", everything=True)
"""The API server runs on nodes, outside the pod network. Where it answers is a setting (`network.api_server`)."""
API_SERVER_PORTS = (Port(443), Port(6443))
"""The Service's port and the server's own: some network plugins judge before the translation, some after."""

DNS = AnyPodIn(name="cluster DNS", namespace="kube-system")
DNS_PORTS = (Port(53, "UDP"), Port(53, "TCP"))


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One NetworkPolicy, ready to be declared."""

    name: str
    namespace: str
    spec: Mapping[str, Any]


@dataclass
class _Rules:
    ingress: dict[tuple[Port, ...], list[Peer]] = field(default_factory=lambda: defaultdict(list))
    egress: dict[tuple[Port, ...], list[Peer]] = field(default_factory=lambda: defaultdict(list))


def _peer_spec(peer: Peer) -> Spec:
    if isinstance(peer, Addresses):
        raise TypeError("addresses become several ipBlock peers")
    namespace: Spec = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": peer.namespace}}}
    return {**namespace, "podSelector": peer.match} if isinstance(peer, Pods) else namespace


def _peer_specs(peer: Peer) -> list[Spec]:
    if not isinstance(peer, Addresses):
        return [_peer_spec(peer)]
    blocks: list[Spec] = []
    for cidr in peer.cidrs:
        block: Spec = {"cidr": cidr}
        if peer.except_cidrs and cidr == "0.0.0.0/0":
            block["except"] = list(peer.except_cidrs)
        blocks.append({"ipBlock": block})
    return blocks


def _rules(direction: str, by_ports: Mapping[tuple[Port, ...], list[Peer]]) -> list[Spec]:
    key = "from" if direction == "ingress" else "to"
    rules: list[Spec] = []
    for ports, peers in sorted(by_ports.items()):
        specs = [spec for peer in sorted(set(peers), key=lambda p: (p.name, repr(p))) for spec in _peer_specs(peer)]
        everybody = any(isinstance(peer, Addresses) and peer.everything for peer in peers)
        rules.append({**({} if everybody else {key: specs}), "ports": [p.spec for p in ports]})
    return rules


def default_deny(namespace: str) -> Policy:
    """Nothing enters, nothing leaves."""
    return Policy(
        name="default-deny", namespace=namespace, spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    )


def allow_dns(namespace: str) -> Policy:
    """Every pod may ask the cluster's DNS, and nothing else of kube-system."""
    return Policy(
        name="allow-dns",
        namespace=namespace,
        spec={
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": [_peer_spec(DNS)], "ports": [p.spec for p in DNS_PORTS]}],
        },
    )


def guest_policies(flows: Iterable[Flow], namespace: str) -> list[Policy]:
    """Policies for the pods of `flows` alone in a namespace that is not ours: other pods there stay as they are."""
    own = [p for p in policies(flows, [namespace]) if p.name not in ("default-deny", "allow-dns")]
    dns = allow_dns(namespace).spec["egress"]
    return [
        Policy(
            name=p.name,
            namespace=namespace,
            spec={**p.spec, "policyTypes": ["Ingress", "Egress"], "egress": [*p.spec.get("egress", ()), *dns]},
        )
        for p in own
    ]


def policies(flows: Iterable[Flow], namespaces: Iterable[str]) -> list[Policy]:
    """NetworkPolicies for our `namespaces`: default deny and DNS in each, then one policy for each kind of pods."""
    rules: dict[Pods, _Rules] = defaultdict(_Rules)
    for flow in flows:
        ports = tuple(sorted(flow.ports, key=lambda p: (p.number, p.protocol)))
        if isinstance(flow.source, Pods):
            rules[flow.source].egress[ports].append(flow.target)
        if isinstance(flow.target, Pods):
            rules[flow.target].ingress[ports].append(flow.source)
    ours = sorted(set(namespaces))
    result = [policy for namespace in ours for policy in (default_deny(namespace), allow_dns(namespace))]
    for pods in sorted(rules, key=lambda p: (p.namespace, p.name)):
        if pods.namespace not in ours:
            continue
        rule = rules[pods]
        spec: Spec = {"podSelector": pods.match, "policyTypes": []}
        if rule.ingress:
            spec["policyTypes"].append("Ingress")
            spec["ingress"] = _rules("ingress", rule.ingress)
        if rule.egress:
            spec["policyTypes"].append("Egress")
            spec["egress"] = _rules("egress", rule.egress)
        result.append(Policy(name=f"allow-{pods.name}", namespace=pods.namespace, spec=spec))
    return result
