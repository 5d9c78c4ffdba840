"""SynapseCluster: declares what the plan decided."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

from components.router.component import Router
from components.synapse.files import instance_files, process_files, reads_senders, sender_files, shared_files
from components.synapse.plan import SynapsePlan
from components.synapse.pods import autoscaler, drains, ports, stateful_set
from components.synapse.process_types import ProcessType
from components.synapse.processes import Process
from kube.component import SKIP_AWAIT, Component, metadata, service_spec, spec
from kube.pod import disruption_budget
from kube.secret_values import SecretValues

AWAIT_SECONDS = 300
"""Added to a process' startup budget: scheduling, image pull, and the wait for what it needs."""


class SynapseCluster(Component):
    """Synapse: main, all workers, and the router in front of them.

    Pulumi type:  matrix:synapse:SynapseCluster
    Creates:      Secret, two shared ConfigMaps; for each type of processes a ConfigMap, a headless Service, a
                  StatefulSet, a PodDisruptionBudget, and a HorizontalPodAutoscaler where it scales; the Router
    Survives:     loss of any one pod or node. Readers and synchrotrons: others take over at once. A single writer or
                  main: until its pod runs elsewhere; what only it does waits meanwhile, nothing acknowledged is lost
    Restarts:     exactly the types whose files changed. A changed list of writers stops all before any starts: the
                  ConfigMap `synapse-instances` is replaced, and every StatefulSet with it (see `_coordinated`)
    """

    def __init__(
        self,
        plan: SynapsePlan,
        secrets: SecretValues,
        opts: ResourceOptions | None = None,
        *,
        stores: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`stores`: what main needs before it can start. Only main waits for it: everything else that Synapse needs,
        and the router, come to be while the database does."""
        super().__init__("matrix:synapse:SynapseCluster", plan.name, None, opts)
        self.plan = plan
        self._secret = secrets.secret(self, plan.secret)
        self._shared = self.config_map(shared_files(plan))
        # Deleted before it is created anew: the engine then deletes everything that is replaced with it first.
        self._instances = self.config_map(instance_files(plan), delete_before_replace=True)
        self._senders = self.config_map(sender_files(plan), delete_before_replace=True)
        main = self._process(plan.processes[ProcessType.MAIN], after=stores)
        for process in plan.processes:
            if not process.is_main:
                # After main, so that on an upgrade main has changed the schema before any worker needs it.
                self._process(process, after=[main])
        Router(plan.router, self.child())
        self.register_outputs({"url": plan.public_url, "internal_url": plan.router.internal_url})

    def _coordinated(self, process: Process, after: Sequence[pulumi.Resource]) -> ResourceOptions:
        """Options of a StatefulSet that may never run with two different lists of writers (or senders).

        `synapse-instances` holds the lists, and its name carries their hash: a changed list replaces it. `replace_with`
        replaces every StatefulSet along; since both are deleted before they are created, the engine deletes all
        StatefulSets, then the old ConfigMap, and only then creates the new ones. Their pods wait until the last old
        process has left PostgreSQL (`scripts/wait.py`), so not even a pod that ends slowly meets a new one. The
        preview shows each of them as a replacement. `synapse-senders` does the same for the federation senders alone.

        Alternative that lost: a Job between the two that waits for empty connections. It would be replaced, and all
        of Synapse with it, for each new image of the Job; and it sees nothing of a pod that starts an hour later.
        """
        triggers: list[pulumi.Resource] = [self._instances]
        if process.type is ProcessType.FEDERATION_SENDER:
            triggers.append(self._senders)
        files: list[pulumi.Resource] = [self._instances]
        if reads_senders(process):
            files.append(self._senders)
        return self.child(
            depends_on=[*after, *files],
            replace_with=triggers,
            delete_before_replace=True,
            # The autoscaler decides; we would set it back at every `up`.
            ignore_changes=["spec.replicas"] if process.autoscale else (),
        )

    def _process(self, process: Process, after: Sequence[pulumi.Resource]) -> k8s.apps.v1.StatefulSet:
        plan = self.plan
        workload = plan.workload(process)
        config = self.config_map(process_files(plan, process))
        k8s.core.v1.Service(
            process.name,
            metadata=metadata(process.name, plan.namespace, workload.labels, SKIP_AWAIT),
            spec=service_spec(workload.selector, ports(process), headless=True, publish_not_ready=not drains(process)),
            opts=self.child(),
        )
        stateful_set_resource = k8s.apps.v1.StatefulSet(
            process.name,
            metadata=metadata(
                process.name,
                plan.namespace,
                workload.labels,
                {
                    "pulumi.com/timeoutSeconds": str(plan.startup_seconds(process) + AWAIT_SECONDS),
                    "pulumi.com/deletionPropagationPolicy": "background",
                },
            ),
            spec=spec(**stateful_set(plan, process)),
            opts=self._coordinated(process, [self._secret, self._shared, config, *after]),
        )
        k8s.policy.v1.PodDisruptionBudget(
            process.name,
            metadata=metadata(process.name, plan.namespace, workload.labels),
            spec=disruption_budget(workload),
            opts=self.child(),
        )
        if process.autoscale:
            k8s.autoscaling.v2.HorizontalPodAutoscaler(
                process.name,
                metadata=metadata(process.name, plan.namespace, workload.labels),
                spec=spec(**autoscaler(plan, process)),
                opts=self.child(depends_on=[stateful_set_resource]),
            )
        return stateful_set_resource
