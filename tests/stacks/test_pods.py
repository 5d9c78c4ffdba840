"""Every pod of ours, in every stack and with every toggle: confined, sized, probed, from locked images."""

import re
from typing import Any

from kube.names import POOL_LABEL
from kube.quantity import parse_bytes, parse_cpu
from policy.rules import Declared, violations
from stack.images import read_lock
from stack.plan import StackPlan
from stack.resources import Recording, leaves
from tests.support import pod_security
from tests.support.cluster import Cluster
from tests.support.report import none_of

# Namespaces whose pods need the host, each with its reason.
EXEMPT: dict[str, str] = {}


def test_the_platform_has_pods(cluster: Cluster) -> None:
    assert len(cluster.pods) > 4, "all other tests here would prove nothing"


def test_pods_meet_pod_security_restricted(cluster: Cluster) -> None:
    bad = [v for pod in cluster.pods if pod.namespace not in EXEMPT for v in pod_security.violations(pod)]
    none_of(bad, "admission would refuse these pods")


def test_namespaces_of_ours_enforce_pod_security_restricted(cluster: Cluster) -> None:
    label = "pod-security.kubernetes.io/enforce"
    ours = {pod.namespace for pod in cluster.pods} - EXEMPT.keys()
    bad = [
        name
        for name in ours
        if (namespace := cluster.get("Namespace", "", name)) is None
        or namespace.inputs["metadata"].get("labels", {}).get(label) != "restricted"
    ]
    none_of(bad, "a namespace with pods of ours must not admit what is not restricted")


def test_containers_have_a_read_only_root(cluster: Cluster) -> None:
    bad = [c for c in cluster.containers if not c.body.get("securityContext", {}).get("readOnlyRootFilesystem")]
    none_of(bad, "what cannot be written cannot be planted")


def test_containers_run_as_a_user_that_is_named(cluster: Cluster) -> None:
    bad = [
        c
        for c in cluster.containers
        if not {**c.pod.spec.get("securityContext", {}), **c.body.get("securityContext", {})}.get("runAsUser")
    ]
    none_of(bad, "an image's own idea of its user may be root, and then the kubelet refuses it at run time")


def test_pods_carry_no_token_of_the_api(cluster: Cluster) -> None:
    bad = [p.name for p in cluster.pods if p.spec.get("automountServiceAccountToken") is not False]
    none_of(bad, "nothing of ours talks to the Kubernetes API")


def test_containers_request_cpu_and_memory_and_end_at_a_memory_limit(cluster: Cluster) -> None:
    bad = []
    for container in cluster.containers:
        resources = container.body.get("resources", {})
        requests, limits = resources.get("requests", {}), resources.get("limits", {})
        if not {"cpu", "memory"} <= requests.keys() or "memory" not in limits:
            bad.append(f"{container}: {resources}")
        elif parse_bytes(limits["memory"]) < parse_bytes(requests["memory"]) or not parse_cpu(requests["cpu"]):
            bad.append(f"{container}: limit below request")
    none_of(bad, "the scheduler must know what it places, and one leak must not take a node along")


def test_synapse_is_never_throttled(cluster: Cluster) -> None:
    bad = [c for c in cluster.containers if "synapse" in c.body["image"] and "cpu" in c.body["resources"]["limits"]]
    none_of(bad, "a CPU limit on a Python process costs latency and saves nothing")


def test_containers_that_serve_are_probed(cluster: Cluster) -> None:
    bad = []
    for container in cluster.containers:
        if container.serves:
            missing = [p for p in ("readinessProbe", "livenessProbe") if p not in container.body]
            bad += [f"{container}: no {probe}" for probe in missing]
    none_of(bad, "Kubernetes must see when a container is ready and when it hangs")


def test_probes_name_ports_that_the_container_has(cluster: Cluster) -> None:
    bad = []
    for container in cluster.containers:
        ports = {key for port in container.body.get("ports", ()) for key in (port.get("name"), port["containerPort"])}
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe: dict[str, Any] = container.body.get(kind, {})
            asked = [probe[way]["port"] for way in ("httpGet", "tcpSocket", "grpc") if way in probe]
            bad += [f"{container}: {kind} asks port {port}" for port in asked if port not in ports]
    none_of(bad, "the kubelet would ask where nobody listens")


def test_commands_are_explicit(cluster: Cluster) -> None:
    bad = [c for c in cluster.containers if not c.body.get("command")]
    none_of(bad, "an image's entrypoint is not ours; any image that has the program must do")


def test_pods_go_to_their_pool_and_tolerate_its_taint(cluster: Cluster) -> None:
    bad = []
    for pod in cluster.pods:
        pool = pod.spec.get("nodeSelector", {}).get(POOL_LABEL)
        tolerated = {t.get("value") for t in pod.spec.get("tolerations", ()) if t.get("key") == POOL_LABEL}
        if pool is None or tolerated != {pool}:
            bad.append(f"{pod.name}: pool {pool}, tolerates {sorted(map(str, tolerated))}")
    none_of(bad, "a pod without a pool lands anywhere, a database's node included")


def test_replicas_are_spread_over_nodes(cluster: Cluster) -> None:
    bad = []
    for pod in cluster.pods:
        if pod.owner.inputs["spec"].get("replicas", 1) < 2:
            continue
        spread = [c["labelSelector"]["matchLabels"] for c in pod.spec.get("topologySpreadConstraints", ())]
        anti = pod.spec.get("affinity", {}).get("podAntiAffinity", {})
        spread += [
            t["labelSelector"]["matchLabels"] for t in anti.get("requiredDuringSchedulingIgnoredDuringExecution", ())
        ]
        if not any(labels.items() <= pod.labels.items() for labels in spread):
            bad.append(pod.name)
    none_of(bad, "two replicas on one node are lost together")


def test_images_come_from_the_lock_and_are_never_latest(cluster: Cluster, plan: StackPlan) -> None:
    locked = {plan.platform.images.ref(name) for name in read_lock()}
    bad = [f"{c}: {c.body['image']}" for c in cluster.containers if c.body["image"] not in locked]
    bad += [f"{c}: pulls always" for c in cluster.containers if c.body.get("imagePullPolicy") != "IfNotPresent"]
    bad += [ref for ref in locked if not re.search(r":[^:/@]+(@sha256:[0-9a-f]{64})?$", ref) or ":latest" in ref]
    none_of(bad, "a site mirrors what the lock lists, and nothing else is there")


def test_images_that_operators_are_told_come_from_the_lock_as_well(recording: Recording, plan: StackPlan) -> None:
    """Custom resources and the values of charts: a full reference wherever a key is called image."""
    locked = {plan.platform.images.ref(name) for name in read_lock()}
    bad, told = [], 0
    for resource in recording.resources:
        for path, value in leaves(resource.inputs):
            if str(path[-1]).lower() in ("image", "imagename") and isinstance(value, str) and ":" in value:
                told += 1
                if value not in locked:
                    bad.append(f"{resource}: {'.'.join(map(str, path))} = {value}")
    assert told > 20, "every container has an image"
    none_of(bad, "an operator would pull what no mirror has")


def test_the_registry_setting_rewrites_every_image_and_chart(recording: Recording, plan: StackPlan) -> None:
    registry = plan.platform.images.registry
    hosts = {image.repository.split("/", 1)[0] for image in read_lock().values()}
    bad = []
    for resource in recording.resources:
        text = str(resource.inputs)
        bad += [f"{resource}: {host}" for host in hosts if registry and f"{host}/" in text]
    none_of(bad, "in an air gap only the mirror answers")


def test_a_given_pull_secret_is_on_every_pod(cluster: Cluster, plan: StackPlan) -> None:
    wanted = [{"name": name} for name in plan.platform.pull_secrets]
    bad = [pod.name for pod in cluster.pods if pod.spec.get("imagePullSecrets", []) != wanted]
    none_of(bad, "a mirror that asks for a login would refuse these")


def test_host_aliases_are_on_every_pod(cluster: Cluster, plan: StackPlan) -> None:
    wanted = [dict(alias) for alias in plan.platform.host_aliases]
    bad = [pod.name for pod in cluster.pods if pod.spec.get("hostAliases", []) != wanted]
    none_of(bad, "without DNS a pod finds only what its hosts file says")


def test_no_label_of_a_pod_carries_a_version(cluster: Cluster) -> None:
    bad = [pod.name for pod in cluster.pods if "app.kubernetes.io/version" in pod.labels]
    none_of(bad, "a new version of this platform alone must restart nobody")


def test_the_policy_pack_agrees(recording: Recording, variant: str) -> None:
    """The same rules that the engine enforces in a preview, over every declared resource."""
    bad = []
    for resource in recording.resources:
        declared = Declared(type=resource.type, name=resource.name, props=resource.inputs, protected=resource.protect)
        for rule, sentence in violations(declared):
            if not (rule == "data-is-protected" and variant == "unprotected"):
                bad.append(f"{resource}: {rule}: {sentence}")
    none_of(bad, "the preview would refuse these")
