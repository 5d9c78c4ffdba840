"""NetworkPolicies against what the configs say: nothing is open by default, and everything that is used is open."""

from collections.abc import Iterator, Mapping
from typing import Any

from kube import reachability
from kube.flows import Pods
from kube.reachability import may_connect
from stack.plan import StackPlan
from stack.resources import leaves
from tests.support import hosts
from tests.support.cluster import Body, Cluster, Pod
from tests.support.report import none_of

# Namespaces of the cluster itself that policies may name.
CLUSTERS_OWN = {"kube-system"}
# Where the toggles say that the edge of the cluster runs.
FOREIGN = {"ingress", "kube-system"}


def _manifests(cluster: Cluster) -> list[Body]:
    return [policy.inputs for policy in cluster.recording.of_kind("NetworkPolicy")]


def _operators_pods(cluster: Cluster) -> Iterator[tuple[str, Mapping[str, str]]]:
    """(namespace, labels) of pods that operators make for custom resources of ours."""
    for resource in cluster.recording.of_kind("Cluster"):
        yield resource.namespace, {"cnpg.io/cluster": resource.object_name, "cnpg.io/podRole": "instance"}
    for resource in cluster.recording.of_kind("Pooler"):
        # CloudNativePG puts the database's label on the pods of its poolers as well.
        database = resource.inputs["spec"]["cluster"]["name"]
        labels = {"cnpg.io/cluster": database, "cnpg.io/podRole": "pooler", "cnpg.io/poolerName": resource.object_name}
        yield resource.namespace, labels
    for issuer in cluster.recording.of_kind("Issuer"):
        if "acme" in issuer.inputs["spec"]:
            yield issuer.namespace, {"acme.cert-manager.io/http01-solver": "true"}


def _selectable(cluster: Cluster) -> list[tuple[str, Mapping[str, str]]]:
    return [*((pod.namespace, pod.labels) for pod in cluster.pods), *_operators_pods(cluster)]


def test_every_namespace_with_pods_denies_by_default(cluster: Cluster) -> None:
    bad = []
    for namespace in {namespace for namespace, _ in _selectable(cluster)}:
        denied = {
            direction
            for policy in _manifests(cluster)
            if policy["metadata"]["namespace"] == namespace and policy["spec"]["podSelector"] == {}
            for direction in policy["spec"]["policyTypes"]
            if not policy["spec"].get(direction.lower()) or policy["metadata"]["name"] == "default-deny"
        }
        if denied != {"Ingress", "Egress"}:
            bad.append(f"{namespace}: {sorted(denied)}")
    none_of(bad, "what no flow names must be closed, both ways")


def test_policies_select_pods_and_name_peers_that_exist(cluster: Cluster, plan: StackPlan) -> None:
    bad = []
    pods = _selectable(cluster)
    if isinstance(plan.edge.proxies, Pods):  # made by Envoy Gateway, in its own namespace
        pods.append((plan.edge.proxies.namespace, dict(plan.edge.proxies.labels)))
    foreign = CLUSTERS_OWN | set(plan.operators.places.values()) | FOREIGN
    for policy in _manifests(cluster):
        name, namespace, spec = policy["metadata"]["name"], policy["metadata"]["namespace"], policy["spec"]
        if not any(ns == namespace and reachability.selects(spec["podSelector"], labels) for ns, labels in pods):
            bad.append(f"{name}: binds nobody")
        for direction, way in (("ingress", "from"), ("egress", "to")):
            for rule in spec.get(direction, ()):
                for peer in rule.get(way, ()):
                    bad += [f"{name}: {why}" for why in _peer_problem(peer, pods, foreign)]
    none_of(bad, "a peer that does not exist is a mistake in a name")


def _peer_problem(peer: Any, pods: list[tuple[str, Mapping[str, str]]], foreign: set[str]) -> Iterator[str]:
    if "ipBlock" in peer:
        return
    name = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name")
    selector = peer.get("podSelector")
    ours = [labels for namespace, labels in pods if namespace == name]
    if selector is None:
        if name not in foreign and not ours:
            yield f"nobody is in namespace {name}"
    elif name not in foreign and not any(reachability.selects(selector, labels) for labels in ours):
        yield f"nobody in {name} has labels {selector['matchLabels']}"


def test_ingress_is_opened_only_on_ports_that_pods_have(cluster: Cluster) -> None:
    bad = []
    for policy in _manifests(cluster):
        spec = policy["spec"]
        bound = [
            pod
            for pod in cluster.pods
            if pod.namespace == policy["metadata"]["namespace"]
            and reachability.selects(spec["podSelector"], pod.labels)
        ]
        have = {number for pod in bound for _, number in pod.ports}
        for rule in spec.get("ingress", ()) if bound else ():
            bad += [
                f"{policy['metadata']['name']}: {port['port']}"
                for port in rule["ports"]
                if "endPort" not in port and port["port"] not in have
            ]
    none_of(bad, "a port that nobody listens on is a mistake in a number")


def _named_by(cluster: Cluster, pod: Pod, domain: str) -> set[hosts.Host]:
    """Every host with a port that this pod's configs, arguments and variables name."""
    found: set[hosts.Host] = set()
    for container in pod.containers:
        for path, text in cluster.files(container).items():
            found |= hosts.hosts(text, domain, structured=path.endswith((".yaml", ".json")))
        for _, value in leaves([container.body.get(key) for key in ("command", "args", "env")]):
            found |= hosts.hosts(str(value), domain)
    return {host for host in found if host.port}


def _party(pod: Pod) -> reachability.Pod:
    return reachability.Pod(namespace=pod.namespace, labels=pod.labels)


def test_what_a_config_tells_a_pod_to_connect_to_is_open_to_it(cluster: Cluster, plan: StackPlan) -> None:
    policies = _manifests(cluster)
    bad, asked = [], 0
    answers: dict[tuple[str, str, int], bool] = {}
    for pod in cluster.pods:
        for host in _named_by(cluster, pod, plan.platform.cluster_domain):
            for target, port in hosts.target_ports(cluster, host):
                if target == pod and not host.pod:
                    continue
                asked += 1
                key = (pod.name, target.name, port)
                if key not in answers:
                    answers[key] = may_connect(policies, _party(pod), _party(target), port)
                if not answers[key]:
                    bad.append(f"{pod.name} may not connect to {target.name} port {port} ({host})")
    assert asked > 50, "the router alone names dozens of pods"
    none_of(bad, "configs and policies must agree, or requests hang until they time out")


def test_pods_that_name_the_database_may_connect_to_it(cluster: Cluster, plan: StackPlan) -> None:
    policies = _manifests(cluster)
    made = hosts.made_by_operators(cluster)
    poolers = {pooler.object_name for pooler in cluster.recording.of_kind("Pooler")}
    bad, asked = [], 0
    for pod in cluster.pods:
        for host in _named_by(cluster, pod, plan.platform.cluster_domain):
            if (host.namespace, host.service) in made:
                asked += 1
                behind = [
                    reachability.Pod(namespace=namespace, labels=labels)
                    for namespace, labels in _operators_pods(cluster)
                    if labels.get("cnpg.io/podRole") == ("pooler" if host.service in poolers else "instance")
                ]
                if not behind or not all(may_connect(policies, _party(pod), it, host.port or 5432) for it in behind):
                    bad.append(f"{pod.name} may not connect to {host}")
    assert asked > 10, "every Synapse process names the database"
    none_of(bad, "a process without its database does not start")


def test_operators_pods_reach_what_their_custom_resources_name(cluster: Cluster, plan: StackPlan) -> None:
    """Poolers their database, the database the store of its backups."""
    policies, domain = _manifests(cluster), plan.platform.cluster_domain
    bad, asked = [], 0
    instances = [pod for pod in _operators_pods(cluster) if pod[1].get("cnpg.io/podRole") == "instance"]
    poolers = [pod for pod in _operators_pods(cluster) if pod[1].get("cnpg.io/podRole") == "pooler"]
    for source in [*poolers, *instances]:
        for target in instances:
            asked += 1
            if not may_connect(policies, _real(source), _real(target), 5432):
                bad.append(f"{source[1]} may not connect to {target[1]} port 5432")
    for store in cluster.recording.of_kind("ObjectStore"):
        for host in hosts.hosts(store.inputs["spec"]["configuration"]["endpointURL"], domain):
            for pod, port in hosts.target_ports(cluster, host):
                asked += 1
                if not all(may_connect(policies, _real(instance), _party(pod), port) for instance in instances):
                    bad.append(f"the database may not connect to {pod.name} port {port}")
    assert asked, "instances replicate from each other at least"
    none_of(bad, "replication, pooling and backups would hang")


def _real(pod: tuple[str, Mapping[str, str]]) -> reachability.Pod:
    return reachability.Pod(namespace=pod[0], labels=pod[1])


def test_nobody_else_may_connect_to_the_stores(cluster: Cluster) -> None:
    """The other way round, for what holds secrets: whoever does not name a store has no way to it."""
    policies = _manifests(cluster)
    stranger = reachability.Pod(namespace=cluster.pods[0].namespace, labels={"app.kubernetes.io/name": "stranger"})
    bad = [
        f"{pod.name} port {number}"
        for pod in cluster.pods
        for _, number in pod.ports
        if may_connect(policies, stranger, _party(pod), number, blocks_match_pods=True)
    ]
    none_of(bad, "a pod that no flow names must reach nothing")
