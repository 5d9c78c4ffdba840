"""Edge: declares what the plan decided."""

from dataclasses import asdict

import pulumi
import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

from components.edge.manifest import Manifest
from components.edge.objects import manifests
from components.edge.plan import EdgePlan
from kube.component import Component, metadata, spec
from kube.names import labels
from kube.secret_values import SecretValues


class Edge(Component):
    """Public addresses, certificates, and one route from each host to its Service.

    Pulumi type:  matrix:edge:Edge
    Creates:      Gateway, HTTPRoutes, Envoy Gateway's policies (or Ingresses); Issuers and Certificates; MetalLB's pool
    Survives:     loss of a node or proxy: the address moves to another node within seconds, long polls reconnect
    Loses:        open connections of a proxy that dies; clients retry
    """

    def __init__(self, plan: EdgePlan, secrets: SecretValues, opts: ResourceOptions | None = None) -> None:
        super().__init__("matrix:edge:Edge", "edge", None, opts)
        before: list[pulumi.Resource] = []
        if plan.acme_account:
            before.append(secrets.secret(self, plan.acme_account))
        for policy in plan.policies:
            k8s.networking.v1.NetworkPolicy(
                f"{policy.namespace}-{policy.name}",
                metadata=metadata(policy.name, policy.namespace, labels(policy.name, "edge")),
                spec=spec(**policy.spec),
                opts=self.child(),
            )
        made: dict[str, pulumi.Resource] = {}
        for manifest in manifests(plan):
            after = [made[key] for key in manifest.after]
            made[manifest.key] = self._declare(manifest, [*before, *after] if manifest.kind == "Issuer" else after)
        self.endpoints = plan.endpoints  # plain data: known before anything exists
        self.register_outputs(
            {
                "address": plan.address,
                "endpoints": plan.endpoints,
                "firewall": [asdict(rule) for rule in plan.firewall],
            }
        )

    def _declare(self, manifest: Manifest, after: list[pulumi.Resource]) -> pulumi.Resource:
        meta = metadata(manifest.name, manifest.namespace, labels(manifest.name, "edge"), manifest.annotations)
        name = f"{manifest.kind}-{manifest.name}".lower()
        options = self.child(depends_on=after)
        if manifest.kind == "Ingress":
            ingress: pulumi.Resource = k8s.networking.v1.Ingress(
                name, metadata=meta, spec=spec(**manifest.spec), opts=options
            )
            return ingress
        custom: pulumi.Resource = k8s.apiextensions.CustomResource(
            name,
            api_version=manifest.api,
            kind=manifest.kind,
            metadata=meta,
            spec=manifest.spec,
            opts=options,
        )
        return custom
