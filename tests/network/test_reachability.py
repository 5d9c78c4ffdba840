"""The evaluator of NetworkPolicies itself, and every stack: default deny, and exactly the known flows open."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from kube.flows import Addresses, AnyPodIn, Flow, Peer, Pods, Port, policies
from kube.reachability import Outside, Party, Pod, Policies, may_connect, selects
from sandbox.stackfile import merge
from stack.load import CONFIG_KEY, parse, stack_file
from stack.plan import StackPlan, make_plan

STACKS = ("small", "medium", "large")


@cache
def plan(stack: str, federation: bool = False) -> StackPlan:
    raw = yaml.safe_load(stack_file(stack).read_text())["config"][CONFIG_KEY]
    changes: dict[str, Any] = {"federation": {"enabled": federation}}
    return make_plan(parse(merge(raw, changes), stack), stack)


def rendered(plan: StackPlan) -> list[dict[str, Any]]:
    declared = (*plan.network.policies, *plan.edge.policies)
    return [{"metadata": {"name": p.name, "namespace": p.namespace}, "spec": p.spec} for p in declared]


def party(peer: Peer) -> Party:
    match peer:
        case Pods():
            return Pod(namespace=peer.namespace, labels=dict(peer.labels))
        case AnyPodIn():
            return Pod(namespace=peer.namespace, labels={"some": "label"})
        case Addresses():
            return Outside(ip="8.8.8.8" if peer.cidrs == ("0.0.0.0/0",) else peer.cidrs[0].partition("/")[0])


def peers(flows: tuple[Flow, ...]) -> list[Peer]:
    return list(dict.fromkeys(peer for flow in flows for peer in (flow.source, flow.target)))


def covers(wide: Peer, narrow: Peer) -> bool:
    """Whether whatever is open for `wide` is open for `narrow` too, because labels select it as well."""
    if isinstance(wide, Pods) and isinstance(narrow, Pods):
        return wide.namespace == narrow.namespace and set(wide.labels) <= set(narrow.labels)
    if isinstance(wide, Addresses) and wide.everything:
        return True
    if isinstance(wide, AnyPodIn) and not isinstance(narrow, Addresses):
        return wide.namespace == narrow.namespace
    return wide == narrow


def bound(plan: StackPlan, peer: Peer) -> bool:
    """Whether policies of ours bind these pods: all of our namespaces, and the edge's own proxies."""
    return isinstance(peer, Pods) and (peer.namespace in plan.namespaces or peer == plan.edge.proxies)


def expected(plan: StackPlan, source: Peer, target: Peer) -> Callable[[Port], bool]:
    """What the list of flows says. Each end opens its own half, and only for the pods that a flow names as such."""
    between = [flow for flow in plan.flows if covers(flow.source, source) and covers(flow.target, target)]
    leaves, enters = not bound(plan, source), not bound(plan, target)

    def answer(port: Port) -> bool:
        matching = [
            flow
            for flow in between
            if any(p.protocol == port.protocol and p.number <= port.number <= (p.end or p.number) for p in flow.ports)
        ]
        return (leaves or any(isinstance(flow.source, Pods) for flow in matching)) and (
            enters or any(isinstance(flow.target, Pods) for flow in matching)
        )

    return answer


def pairs(plan: StackPlan) -> Iterator[tuple[Peer, Peer]]:
    """Everybody with everybody of whom a policy of ours binds one."""
    everyone = [peer for peer in peers(plan.flows) if not isinstance(peer, Addresses)]
    for source in everyone:
        yield from ((source, target) for target in everyone if bound(plan, source) or bound(plan, target))


@pytest.mark.parametrize("federation", [False, True], ids=["closed", "federation"])
@pytest.mark.parametrize("stack", STACKS)
def test_exactly_the_known_flows_are_open(stack: str, federation: bool) -> None:
    mine = plan(stack, federation)
    rules = Policies(rendered(mine))
    ports = sorted({port for flow in mine.flows for port in flow.ports} | {Port(22), Port(53, "UDP")})
    wrong = []
    for source, target in pairs(mine):
        wanted = expected(mine, source, target)
        one, other = party(source), party(target)
        for port in ports:
            is_open = rules.may_connect(one, other, port.number, port.protocol)
            if is_open != wanted(port):
                state = "open" if is_open else "closed"
                wrong.append(f"{source.name} -> {target.name} {port.protocol}/{port.number}: {state}")
    assert not wrong, "policies and flows differ"


@pytest.mark.parametrize("stack", STACKS)
def test_every_flow_is_open_to_the_outside_too(stack: str) -> None:
    mine = plan(stack, True)
    manifests = rendered(mine)
    for flow in mine.flows:
        for port in flow.ports:
            assert may_connect(manifests, party(flow.source), party(flow.target), port.number, port.protocol), flow


@pytest.mark.parametrize("stack", STACKS)
def test_a_pod_that_nobody_knows_reaches_nothing_and_is_reached_by_nobody(stack: str) -> None:
    mine = plan(stack)
    manifests = rendered(mine)
    inside = Pod(namespace=mine.platform.namespace, labels={"app": "stranger"})
    elsewhere = Pod(namespace="default")
    ports = {port for flow in mine.flows for port in flow.ports}
    for peer in peers(mine.flows):
        if isinstance(peer, Pods) and peer.namespace in mine.namespaces:  # the edge's proxies are there for strangers
            for port in ports:
                known = party(peer)
                for stranger in (inside, elsewhere):
                    # Even where a plugin lets address blocks match pods, as some do.
                    assert not may_connect(
                        manifests, stranger, known, port.number, port.protocol, blocks_match_pods=True
                    ), f"{stranger} reaches {peer.name} on {port}"
                assert not may_connect(manifests, known, inside, port.number, port.protocol, blocks_match_pods=True)
    assert not may_connect(manifests, inside, Outside(ip="8.8.8.8"), 443)


@pytest.mark.parametrize("stack", STACKS)
def test_every_pod_may_ask_the_clusters_dns_and_nothing_else_of_kube_system(stack: str) -> None:
    mine = plan(stack)
    manifests = rendered(mine)
    dns = Pod(namespace="kube-system", labels={"k8s-app": "kube-dns"})
    for peer in peers(mine.flows):
        if isinstance(peer, Pods) and peer.namespace in mine.namespaces:
            assert may_connect(manifests, party(peer), dns, 53, "UDP")
            assert may_connect(manifests, party(peer), dns, 53, "TCP")
            assert not may_connect(manifests, party(peer), dns, 9153)


@pytest.mark.parametrize("stack", STACKS)
def test_every_workload_of_ours_has_a_policy_of_its_own(stack: str) -> None:
    """A workload without one is cut off: default deny holds for it, and nothing is opened."""
    mine = plan(stack)
    selectors = [p.spec["podSelector"] for p in mine.network.policies if p.spec["podSelector"]]
    # Pods that an operator makes carry the operator's labels: those are known by the name of their peer.
    named = {peer.name for peer in peers(mine.flows)}
    for workload in mine.workloads:
        if workload.namespace in mine.namespaces:
            known = workload.name in named or any(selects(s, workload.labels) for s in selectors)
            assert known, f"{workload.name} talks to nobody"


def test_equal_names_with_different_labels_are_refused() -> None:
    from components.network.plan import NamespacePlan, make_plan

    flows = [
        Flow(
            source=Pods.of("a", "x", {"l": str(i)}),
            target=Addresses(name="internet"),
            ports=(Port(443),),
            why="test",
        )
        for i in range(2)
    ]
    with pytest.raises(ValueError, match="share a name"):
        make_plan([NamespacePlan(name="x")], flows, protect=False)


# ---- the evaluator, against the API's definition ---------------------------------------------------------------------

A, B = Pod(namespace="one", labels={"app": "a"}), Pod(namespace="one", labels={"app": "b"})
FAR = Pod(namespace="two", labels={"app": "a"}, namespace_labels={"team": "x"})


def policy(spec: dict[str, Any], namespace: str = "one") -> list[dict[str, Any]]:
    return [{"metadata": {"name": "p", "namespace": namespace}, "spec": spec}]


def into(*rules: dict[str, Any]) -> list[dict[str, Any]]:
    return policy({"podSelector": {"matchLabels": {"app": "b"}}, "policyTypes": ["Ingress"], "ingress": list(rules)})


@pytest.mark.parametrize(
    ("policies", "source", "port", "is_open"),
    [
        ([], A, 1, True),  # no policy binds: everything is open
        (into(), A, 1, False),
        (into({}), FAR, 1, True),  # an empty rule is for everybody, on every port
        (into({"from": []}), FAR, 1, True),
        (into({"ports": [{"port": 1, "endPort": 5}]}), FAR, 5, True),
        (into({"ports": [{"port": 1, "endPort": 5}]}), FAR, 6, False),
        (into({"ports": [{"port": 1, "protocol": "UDP"}]}), FAR, 1, False),
        (into({"from": [{"podSelector": {"matchLabels": {"app": "a"}}}]}), A, 1, True),
        (into({"from": [{"podSelector": {"matchLabels": {"app": "a"}}}]}), FAR, 1, False),  # own namespace only
        (into({"from": [{"namespaceSelector": {"matchLabels": {"team": "x"}}}]}), FAR, 1, True),
        (into({"from": [{"namespaceSelector": {"matchLabels": {"team": "y"}}}]}), FAR, 1, False),
        (into({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "z"}}}]}), FAR, 1, False),
        (into({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}), Outside(ip="10.1.2.3"), 1, True),
        (
            into({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}),
            Outside(ip="10.1.2.3"),
            1,
            False,
        ),
        (policy({"podSelector": {}, "policyTypes": ["Egress"]}), A, 1, False),  # the source may not speak
        (policy({"podSelector": {}, "policyTypes": ["Ingress"]}, "two"), A, 1, True),  # another namespace's
    ],
)
def test_the_evaluator_reads_policies_as_kubernetes_does(
    policies: list[dict[str, Any]], source: Party, port: int, is_open: bool
) -> None:
    assert may_connect(policies, source, B, port) is is_open


@pytest.mark.parametrize(
    ("term", "matched"),
    [
        ({"key": "app", "operator": "In", "values": ["a", "b"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["a"]}, False),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "app", "operator": "DoesNotExist"}, False),
        ({"key": "other", "operator": "NotIn", "values": ["a"]}, True),
    ],
)
def test_label_expressions_are_understood(term: dict[str, Any], matched: bool) -> None:
    assert selects({"matchExpressions": [term]}, {"app": "a"}) is matched
    assert not selects(None, {"app": "a"})


def test_address_blocks_may_or_may_not_match_pods_and_both_can_be_asked() -> None:
    everything = into({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]})
    assert not may_connect(everything, A, B, 1)
    assert may_connect(everything, A, B, 1, blocks_match_pods=True)


def test_rendering_flows_twice_gives_the_same_policies() -> None:
    mine = plan("small")
    assert policies(mine.flows, mine.namespaces) == policies(reversed(mine.flows), mine.namespaces)
