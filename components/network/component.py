"""Network: declares what the plan decided."""

import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

from components.network.plan import NetworkPlan
from kube.component import Component, metadata, spec
from kube.names import labels


class Network(Component):
    """Namespaces with Pod Security labels, and default deny with exactly the known flows opened.

    Pulumi type:  matrix:network:Network
    Creates:      Namespaces, NetworkPolicies
    Survives:     everything; a namespace takes all that is in it along, so it is protected and retained
    Needs:        a network plugin that enforces NetworkPolicy (Calico, Cilium, …); others ignore the objects silently
    """

    def __init__(self, plan: NetworkPlan, opts: ResourceOptions | None = None) -> None:
        super().__init__("matrix:network:Network", "network", None, opts)
        self.namespaces = {
            namespace.name: k8s.core.v1.Namespace(
                namespace.name,
                metadata=metadata(namespace.name, None, namespace.labels, namespace.annotations),
                opts=self.child(protect=plan.protect),
            )
            for namespace in plan.namespaces
        }
        self.policies = [
            k8s.networking.v1.NetworkPolicy(
                f"{policy.namespace}-{policy.name}",
                metadata=metadata(policy.name, policy.namespace, labels(policy.name, "network")),
                spec=spec(**policy.spec),
                opts=self.child(depends_on=[self.namespaces[policy.namespace]]),
            )
            for policy in plan.policies
        ]
        self.register_outputs({"namespaces": sorted(self.namespaces)})
