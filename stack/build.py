"""The components of a stack in dependency order: a table of contents of the platform."""

from collections.abc import Mapping
from dataclasses import asdict

import pulumi
import pulumi_kubernetes as k8s
from pulumi import Output, ResourceOptions

from components import Edge, MinioTenant, Network, Operators, PostgresHA, RedisSentinel, SynapseCluster
from components.postgres import plan as postgres
from kube.component import Component
from kube.secret_values import SecretValues
from stack.guards import Guards
from stack.plan import StackPlan


class Platform(Component):
    """A complete Matrix platform.

    Pulumi type:  matrix:platform:Platform
    Creates:      the Kubernetes provider, and every system below it
    """

    def __init__(self, plan: StackPlan, given: Mapping[str, Output[str]]) -> None:
        provider = k8s.Provider(
            "kubernetes",
            enable_server_side_apply=True,
            # ConfigMaps of ours are immutable and named by content; everything else may change in place.
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            # The client's own limits (50, 120) make several hundred objects wait for no one.
            kube_client_settings={"qps": 200, "burst": 400},
        )
        super().__init__("matrix:platform:Platform", plan.platform.stack, None, ResourceOptions(providers=[provider]))
        guarded = self.child(depends_on=[Guards(plan, self.child())])
        secrets = SecretValues("secrets", given, protect=plan.platform.safety.protect, opts=guarded)
        operators = Operators(plan.operators, guarded)
        # Namespaces and policies first: no pod of ours ever runs without its policy.
        network = Network(plan.network, guarded)
        inside = self.child(depends_on=[network])
        redis_synapse = RedisSentinel(plan.redis_synapse, secrets, inside)
        RedisSentinel(plan.redis_livekit, secrets, inside)
        store = MinioTenant(plan.minio, secrets, inside)
        database = self.child(depends_on=[network, *operators.ready(postgres.needs(plan.settings.postgres))])
        main_database = PostgresHA(plan.postgres, secrets, database, store=store)
        SynapseCluster(plan.synapse, secrets, inside, stores=[main_database, redis_synapse, store])
        Edge(plan.edge, secrets, self.child(depends_on=[network, *operators.ready(plan.edge.needs)]))
        self.register_outputs({})


def build(plan: StackPlan, given: Mapping[str, Output[str]]) -> None:
    """Declare the whole platform and export what a person needs next."""
    Platform(plan, given)
    pulumi.export("server_name", plan.platform.server_name)
    pulumi.export("address", plan.edge.address)
    pulumi.export("endpoints", plan.edge.endpoints)
    pulumi.export("dns", plan.edge.dns)
    pulumi.export("certificate_authority", plan.edge.trust)
    pulumi.export("firewall", [asdict(rule) for rule in plan.edge.firewall])
