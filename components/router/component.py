"""Router: declares what the plan decided."""

import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

from components.router.files import config_files, errors
from components.router.layout import CONFIG_DIR, ERRORS_DIR
from components.router.plan import (
    FEDERATION_PORT,
    HEALTH_PORT,
    INTERNAL_PORT,
    METRICS_PORT,
    PUBLIC_PORT,
    RouterPlan,
)
from kube.component import SKIP_AWAIT, Component, metadata, service_spec, spec
from kube.pod import Container, disruption_budget, http_probe, pod_template

LEAVE_SECONDS = 5
"""A stopping pod goes on accepting for this long: until then, the edge may not have heard that it leaves."""


class Router(Component):
    """HAProxy in front of Synapse: two or more identical pods, any one of which can carry everything.

    Pulumi type:  matrix:synapse:Router
    Creates:      2 ConfigMaps, Deployment, 2 Services (public and internal), PodDisruptionBudget
    Survives:     loss of a pod or node (another has the same ring); loss of any Synapse worker; an outage of DNS
    Loses:        on a planned stop nothing that ends within the drain time; on a crash, its open requests
    """

    def __init__(self, plan: RouterPlan, opts: ResourceOptions | None = None) -> None:
        super().__init__("matrix:synapse:Router", plan.name, None, opts)
        self.plan = plan
        files, error_files = config_files(plan), errors(plan)
        maps = [self.config_map(files), self.config_map(error_files)]
        workload = plan.workload
        listeners = {"http": PUBLIC_PORT, "metrics": METRICS_PORT}
        if plan.federation:
            listeners["federation"] = FEDERATION_PORT
        haproxy = Container(
            name="haproxy",
            image=plan.image,
            # -dW: a warning in the configuration is an error. -db: in the foreground, without a master process.
            command=["haproxy", "-dW", "-db", "-f", f"{CONFIG_DIR}/haproxy.cfg"],
            resources=workload.resources,
            ports={**listeners, "internal": INTERNAL_PORT, "health": HEALTH_PORT},
            mounts={CONFIG_DIR: "config", ERRORS_DIR: "errors"},
            startup=http_probe("/startup", "health", period=1, timeout=1, failures=300),
            readiness=http_probe("/ready", "health", period=2, timeout=1, failures=2),
            liveness=http_probe("/live", "health", period=10, failures=3),
            # SIGUSR1 lets running requests end and then exits; the SIGTERM that follows this hook would cut them.
            pre_stop=["sh", "-c", f"sleep {LEAVE_SECONDS}; kill -USR1 1; sleep {plan.drain_seconds}"],
        )
        k8s.apps.v1.Deployment(
            workload.name,
            metadata=metadata(workload.name, plan.namespace, workload.labels, {"pulumi.com/timeoutSeconds": "600"}),
            spec=spec(
                replicas=workload.replicas,
                # A new pod first: with two replicas, one less is half of the connections.
                strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                selector={"matchLabels": workload.selector},
                template=pod_template(
                    workload,
                    [haproxy],
                    [files.volume("config"), error_files.volume("errors")],
                    grace_seconds=LEAVE_SECONDS + plan.drain_seconds + 10,
                    **plan.pod_defaults,
                ),
            ),
            opts=self.child(depends_on=maps),
        )
        for name, ports in ((plan.name, listeners), (plan.internal_name, {"internal": INTERNAL_PORT})):
            k8s.core.v1.Service(
                name,
                metadata=metadata(name, plan.namespace, workload.labels, SKIP_AWAIT),
                spec=service_spec(workload.selector, ports),
                opts=self.child(),
            )
        k8s.policy.v1.PodDisruptionBudget(
            workload.name,
            metadata=metadata(workload.name, plan.namespace, workload.labels),
            spec=disruption_budget(workload),
            opts=self.child(),
        )
        self.register_outputs({"url": plan.url, "internalUrl": plan.internal_url})
