"""From flows to policies: default deny, each flow opens one direction at each end, and nothing else."""

from typing import Any

import pytest

from kube.flows import Addresses, AnyPodIn, Flow, Pods, Policy, Port, policies
from kube.reachability import Outside, Party, may_connect, selects
from kube.reachability import Pod as RealPod

CLIENT = Pods.of("client", "matrix", {"app": "client"})
SERVER = Pods.of("server", "matrix", {"app": "server"})
OTHER = Pods.of("other", "elsewhere", {"app": "other"})


def _pod(pods: Pods) -> RealPod:
    return RealPod(namespace=pods.namespace, labels=dict(pods.labels))


def _manifests(*flows: Flow, namespaces: tuple[str, ...] = ("matrix",)) -> list[dict[str, Any]]:
    found: list[Policy] = policies(flows, namespaces)
    return [{"metadata": {"name": p.name, "namespace": p.namespace}, "spec": p.spec} for p in found]


def _flow(source: Any, target: Any, *ports: Port) -> Flow:
    return Flow(source=source, target=target, ports=ports or (Port(80),), why="test")


def test_without_flows_nobody_reaches_anybody() -> None:
    closed = _manifests()
    assert not may_connect(closed, _pod(CLIENT), _pod(SERVER), 80)
    assert not may_connect(closed, _pod(CLIENT), Outside(ip="192.0.2.1"), 443)
    assert not may_connect(closed, Outside(ip="192.0.2.1"), _pod(SERVER), 80)


def test_a_flow_opens_its_port_in_its_direction_and_no_other() -> None:
    open_ = _manifests(_flow(CLIENT, SERVER))
    assert may_connect(open_, _pod(CLIENT), _pod(SERVER), 80)
    assert not may_connect(open_, _pod(CLIENT), _pod(SERVER), 81)
    assert not may_connect(open_, _pod(SERVER), _pod(CLIENT), 80)
    assert not may_connect(open_, _pod(CLIENT), _pod(SERVER), 80, "UDP")


def test_every_pod_may_ask_dns_and_nothing_else_of_it() -> None:
    dns = RealPod(namespace="kube-system", labels={"k8s-app": "dns"})
    assert may_connect(_manifests(), _pod(CLIENT), dns, 53, "UDP")
    assert not may_connect(_manifests(), _pod(CLIENT), dns, 443)


def test_a_flow_between_namespaces_of_ours_has_both_halves() -> None:
    both = _manifests(_flow(CLIENT, OTHER), namespaces=("matrix", "elsewhere"))
    assert may_connect(both, _pod(CLIENT), _pod(OTHER), 80)
    stranger = RealPod(namespace="matrix", labels={"app": "stranger"})
    assert not may_connect(both, stranger, _pod(OTHER), 80)


@pytest.mark.parametrize(("ip", "open_"), [("192.0.2.1", True), ("10.1.2.3", False)])
def test_addresses_are_opened_without_what_is_excepted(ip: str, open_: bool) -> None:
    internet = Addresses(name="internet", except_cidrs=("10.0.0.0/8",))
    assert may_connect(_manifests(_flow(CLIENT, internet)), _pod(CLIENT), Outside(ip=ip), 80) is open_


def test_a_namespace_of_others_may_be_let_in_as_a_whole() -> None:
    gateway = RealPod(namespace="gateway", labels={"any": "pod"})
    open_ = _manifests(_flow(AnyPodIn(name="gateway", namespace="gateway"), SERVER))
    assert may_connect(open_, gateway, _pod(SERVER), 80)


def test_a_range_of_ports_is_one_port_with_an_end() -> None:
    open_ = _manifests(_flow(CLIENT, SERVER, Port(5000, "UDP", end=5100)))
    parties: tuple[Party, Party] = (_pod(CLIENT), _pod(SERVER))
    assert may_connect(open_, *parties, 5100, "UDP") and not may_connect(open_, *parties, 5101, "UDP")


def test_policies_do_not_depend_on_the_order_of_flows() -> None:
    flows = [_flow(CLIENT, SERVER), _flow(SERVER, CLIENT, Port(81)), _flow(CLIENT, SERVER, Port(82))]
    assert _manifests(*flows) == _manifests(*reversed(flows)), "an up without a change would do something"


@pytest.mark.parametrize(
    ("operator", "values", "matched"),
    [
        ("In", ["a"], True),
        ("In", ["b"], False),
        ("NotIn", ["b"], True),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
    ],
)
def test_label_selectors_are_read_as_kubernetes_reads_them(operator: str, values: Any, matched: bool) -> None:
    assert selects({"matchExpressions": [{"key": "x", "operator": operator, "values": values}]}, {"x": "a"}) is matched
