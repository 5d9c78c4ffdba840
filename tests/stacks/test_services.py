"""Whoever names a Service, a port or a pod finds it; whoever selects pods finds some."""

import re

from stack.plan import StackPlan
from tests.support import hosts
from tests.support.cluster import Body, Cluster
from tests.support.report import none_of

# Kinds that have no condition to wait for, each with its reason.
NEVER_READY = {
    "BackendTrafficPolicy": "takes effect with the Gateway that it is attached to, which is awaited",
    "ClientTrafficPolicy": "the same",
    "EnvoyProxy": "parameters of the Gateway, which is awaited",
    "SecurityPolicy": "takes effect with the route that it is attached to",
    "IPAddressPool": "MetalLB reports no condition; a Gateway without an address is what is awaited",
    "L2Advertisement": "the same",
    "ObjectStore": "parameters of the Cluster's plugin; the Cluster is awaited",
    "Pooler": "reports no condition; Synapse waits for the database's port before it starts",
    "ScheduledBackup": "becomes due at its hour",
    "PodMonitor": "read by Prometheus when it likes",
    "ServiceMonitor": "the same",
    "PrometheusRule": "the same",
}
_BUILT_IN = re.compile(r"^(v1|apps/|batch/|policy/|autoscaling/|rbac\.|networking\.k8s\.io/|storage\.k8s|scheduling\.)")


def test_every_service_selects_pods_and_leads_to_ports_that_they_name(cluster: Cluster) -> None:
    bad = []
    for service in cluster.recording.of_kind("Service"):
        spec: Body = service.inputs["spec"]
        pods = cluster.selected(service.namespace, spec.get("selector") or {"(none)": ""})
        if not pods:
            bad.append(f"{service}: selects nobody")
        for port in spec["ports"]:
            target = port.get("targetPort", port["port"])
            bad += [
                f"{service}: {pod.name} has no port {target}"
                for pod in pods
                if target not in {key for pair in pod.ports for key in pair}
            ]
    none_of(bad, "a Service without endpoints answers nobody")


def test_services_are_not_awaited(cluster: Cluster) -> None:
    bad = [
        service
        for service in cluster.recording.of_kind("Service")
        if service.inputs["metadata"].get("annotations", {}).get("pulumi.com/skipAwait") != "true"
    ]
    none_of(bad, "the provider spends ten seconds on each, and their workloads are awaited already")


def test_workloads_say_how_long_they_may_take(cluster: Cluster) -> None:
    bad = [
        pod.name
        for pod in cluster.pods
        if pod.owner.kind != "CronJob"
        and not pod.owner.inputs["metadata"].get("annotations", {}).get("pulumi.com/timeoutSeconds", "").isdigit()
    ]
    none_of(bad, "the provider's own idea of a time-out fits nobody")


def test_custom_resources_that_become_ready_are_waited_for(cluster: Cluster) -> None:
    bad = []
    for resource in cluster.recording.objects:
        annotations = resource.inputs["metadata"].get("annotations", {})
        custom = not _BUILT_IN.match(resource.inputs["apiVersion"])
        if custom and resource.kind not in NEVER_READY and "pulumi.com/waitFor" not in annotations:
            bad.append(resource)
    none_of(bad, "an up that has ended must mean that it works")


def test_stateful_sets_have_the_headless_service_that_they_name(cluster: Cluster) -> None:
    bad = []
    for pod in cluster.pods:
        if pod.owner.kind == "StatefulSet":
            service = cluster.get("Service", pod.namespace, pod.owner.inputs["spec"]["serviceName"])
            if service is None or service.inputs["spec"].get("clusterIP") != "None":
                bad.append(f"{pod.name}: no headless Service {pod.owner.inputs['spec']['serviceName']}")
            elif not service.inputs["spec"]["selector"].items() <= pod.labels.items():
                bad.append(f"{pod.name}: {service} does not select it")
    none_of(bad, "pods get their names from it")


def test_workloads_select_their_own_pods_and_nobody_else_s(cluster: Cluster) -> None:
    bad = []
    for pod in cluster.pods:
        if pod.owner.kind in ("StatefulSet", "Deployment", "DaemonSet"):
            found = cluster.selected(pod.namespace, pod.owner.inputs["spec"]["selector"]["matchLabels"])
            if found != [pod]:
                bad.append(f"{pod.name} selects {', '.join(p.name for p in found) or 'nobody'}")
    none_of(bad, "controllers fight over pods that two of them select")


def test_every_host_that_anything_names_leads_somewhere(cluster: Cluster, plan: StackPlan) -> None:
    bad = []
    for resource in cluster.recording.resources:
        for host in hosts.named_in(resource, plan.platform.cluster_domain):
            why = hosts.problem(cluster, host, spare=hosts.has_spare_slots(resource))
            if why:
                bad.append(f"{resource} names {host}: {why}")
    none_of(bad, "a connection there would never be answered")


def test_hosts_are_found_at_all(cluster: Cluster, plan: StackPlan) -> None:
    """Guards the test above: the router, Redis' proxy and the instance map name dozens of pods."""
    found = {h for r in cluster.recording.objects for h in hosts.named_in(r, plan.platform.cluster_domain)}
    assert len([h for h in found if h.pod and h.port]) > 20
    assert {h.service for h in found if h.port} >= {"redis-synapse", "synapse-main", plan.postgres.host.split(".")[0]}


def test_proxies_know_every_pod_that_an_autoscaler_may_make(cluster: Cluster, plan: StackPlan) -> None:
    bad = []
    for config in cluster.recording.of_kind("ConfigMap"):
        text = "\n".join(config.inputs["data"].values())
        if not re.search(r"^\s*server \S+ ", text, re.M):
            continue
        named = {h.pod for h in hosts.hosts(text, plan.platform.cluster_domain)}
        for pod in cluster.pods:
            owner = pod.owner
            if owner.kind == "StatefulSet" and f"{owner.object_name}-0" in named:
                every = {f"{owner.object_name}-{i}" for i in range(hosts.replicas_at_most(cluster, owner))}
                bad += [f"{config}: {missing}" for missing in every - named]
    none_of(bad, "a pod that the proxy does not know gets no request, and an autoscaler that makes it helps nobody")


def test_autoscalers_scale_what_exists_and_nothing_that_a_config_names(cluster: Cluster, plan: StackPlan) -> None:
    bad = []
    written = {
        host.pod
        for config in cluster.recording.of_kind("ConfigMap")
        for key, text in config.inputs["data"].items()
        if "instance_map" in text
        for host in hosts.hosts(text, plan.platform.cluster_domain)
    }
    for scaler in cluster.recording.of_kind("HorizontalPodAutoscaler"):
        spec = scaler.inputs["spec"]
        target = cluster.get(spec["scaleTargetRef"]["kind"], scaler.namespace, spec["scaleTargetRef"]["name"])
        if target is None:
            bad.append(f"{scaler}: scales nothing")
            continue
        if "spec.replicas" not in target.ignore_changes and "replicas" in target.inputs["spec"]:
            bad.append(f"{scaler}: the next up would undo it (ignoreChanges of spec.replicas is missing)")
        if not 1 <= spec.get("minReplicas", 1) <= spec["maxReplicas"]:
            bad.append(f"{scaler}: from {spec.get('minReplicas')} to {spec['maxReplicas']}")
        if any(metric.get("resource", {}).get("name") == "memory" for metric in spec["metrics"]):
            bad.append(f"{scaler}: by memory, which Python never gives back")
        if f"{target.object_name}-0" in written:
            bad.append(f"{scaler}: its processes are in instance_map, and a change of that restarts all of Synapse")
    none_of(bad, "an autoscaler must be able to do its work, and do no harm")


def test_disruption_budgets_select_pods_and_allow_one_disruption(cluster: Cluster) -> None:
    bad = []
    for budget in cluster.recording.of_kind("PodDisruptionBudget"):
        spec = budget.inputs["spec"]
        pods = cluster.selected(budget.namespace, spec["selector"]["matchLabels"])
        replicas = sum(int(p.owner.inputs["spec"].get("replicas", 1)) for p in pods)
        if not pods:
            bad.append(f"{budget}: selects nobody")
        elif spec.get("maxUnavailable", 1) < 1 or spec.get("minAvailable", 0) >= replicas:
            bad.append(f"{budget}: a node with one of the {replicas} pods could never be drained")
    none_of(bad, "a budget must protect somebody, and still let nodes be maintained")


def test_whatever_runs_twice_has_exactly_one_disruption_budget(cluster: Cluster) -> None:
    bad = []
    for pod in cluster.pods:
        if hosts.replicas_at_most(cluster, pod.owner) < 2 or pod.runs_to_an_end:
            continue
        budgets = [
            b
            for b in cluster.recording.of_kind("PodDisruptionBudget")
            if b.namespace == pod.namespace
            and b.inputs["spec"]["selector"]["matchLabels"].items() <= pod.labels.items()
        ]
        if len(budgets) != 1:
            bad.append(f"{pod.name}: {len(budgets)}")
    none_of(bad, "without one a drain takes all replicas at once; with two an eviction is refused for ever")


def test_monitors_find_their_targets(cluster: Cluster) -> None:
    bad = []
    for monitor in cluster.recording.of_kind("ServiceMonitor", "PodMonitor"):
        spec = monitor.inputs["spec"]
        labels = spec["selector"].get("matchLabels", {})
        if monitor.kind == "PodMonitor":
            names = {name for pod in cluster.selected(monitor.namespace, labels) for name, _ in pod.ports}
            wanted = {e["port"] for e in spec["podMetricsEndpoints"]}
        else:
            names = {
                port["name"]
                for service in cluster.recording.of_kind("Service")
                if labels.items() <= service.inputs["metadata"].get("labels", {}).items()
                for port in service.inputs["spec"]["ports"]
            }
            wanted = {e["port"] for e in spec["endpoints"]}
        bad += [f"{monitor}: nobody has port {port}" for port in wanted - names]
    none_of(bad, "a monitor without a target measures nothing, and nobody notices")
