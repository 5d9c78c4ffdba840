"""Operators: declares the Helm releases that the plan decided."""

from collections.abc import Iterable

import pulumi
import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

from components.operators.plan import OperatorsPlan
from kube.component import Component, metadata


class Operators(Component):
    """Operators of others, each as one Helm release in a namespace of its own.

    Pulumi type:  matrix:operators:Operators
    Creates:      Namespaces with Pod Security labels, Helm releases
    Survives:     a failed install or upgrade: it is rolled back, and nothing that needs it is touched
    """

    def __init__(self, plan: OperatorsPlan, opts: ResourceOptions | None = None) -> None:
        super().__init__("matrix:operators:Operators", "operators", None, opts)
        namespaces = {
            namespace.name: k8s.core.v1.Namespace(
                namespace.name,
                metadata=metadata(namespace.name, None, namespace.labels, namespace.annotations),
                opts=self.child(),
            )
            for namespace in plan.namespaces
        }
        self.releases: dict[str, k8s.helm.v3.Release] = {}
        for release in plan.releases:
            before = [self.releases[key] for key in release.after]
            self.releases[release.key] = k8s.helm.v3.Release(
                release.name,
                name=release.name,
                chart=release.chart,
                version=release.version,
                namespace=release.namespace,
                values=dict(release.values),
                atomic=True,  # a failed upgrade goes back by itself, and says why
                cleanup_on_fail=True,
                skip_crds=False,
                timeout=release.timeout_seconds,
                max_history=5,
                opts=self.child(depends_on=[namespaces[release.namespace], *before], protect=release.protect),
            )
        self.register_outputs({"installed": sorted(self.releases)})

    def ready(self, keys: Iterable[str]) -> list[pulumi.Resource]:
        """Releases that must be ready before custom resources of these operators are made; only installed ones."""
        return [self.releases[key] for key in keys if key in self.releases]
