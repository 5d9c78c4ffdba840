"""PostgresHA: declares what the plan decided."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

from components.postgres.manifests import (
    ROLE_DIR,
    cluster_spec,
    object_store_spec,
    pooler_spec,
    role_environment,
    role_files,
    scheduled_backup_spec,
)
from components.postgres.plan import PostgresPlan
from kube.component import Component, metadata, spec
from kube.names import labels
from kube.pod import Container, Workload, pod_template, secret_volume
from kube.secret_values import SecretValues

READY_SECONDS = 1800
"""An instance joins in a minute when it is empty; a restore of a large database takes its time."""


class PostgresHA(Component):
    """Highly available PostgreSQL by CloudNativePG, with continuous backup to object storage.

    Pulumi type:  matrix:data:PostgresHA
    Creates:      Secret, Cluster; ObjectStore and ScheduledBackup with backups; Pooler and a Job where asked for
    Survives:     loss of any one node of three, two of five; a new primary answers within seconds
    Loses:        nothing that was committed: a commit waits for a copy on another node. Without enough copies, writes
                  wait. With backups: a lost cluster is restored to any second of the retention
    """

    def __init__(
        self,
        plan: PostgresPlan,
        secrets: SecretValues,
        opts: ResourceOptions | None = None,
        *,
        store: pulumi.Resource | None = None,
    ) -> None:
        """`store`: the object storage of ours that backups go to; they wait for its buckets, the database does not."""
        super().__init__("matrix:data:PostgresHA", plan.stable_name, None, opts)
        self.plan = plan
        self._labels = labels(plan.stable_name, "database")
        owner = secrets.secret(self, plan.credentials, self._labels)
        needed: list[pulumi.Resource] = [owner]
        if plan.uses_store:
            needed.append(self._resource("ObjectStore", plan.object_store, object_store_spec(plan)))
        if plan.restore is not None and store is not None:
            needed.append(store)  # there is something to restore from only when the buckets answer
        self.cluster = self._cluster(needed)
        after = [self.cluster, *([store] if store is not None else [])]
        if plan.backups.enabled:
            self._resource("ScheduledBackup", plan.name, scheduled_backup_spec(plan), after)
        if plan.pooler is not None:
            self._resource("Pooler", plan.pooler.name, pooler_spec(plan, plan.pooler), [self.cluster])
        if plan.role_job is not None:
            self._role(plan.role_job)
        self.register_outputs({"host": plan.host, "port": plan.port, "database": plan.database})

    def _cluster(self, needed: list[pulumi.Resource]) -> pulumi.Resource:
        plan = self.plan
        ready = {"pulumi.com/waitFor": "condition=Ready", "pulumi.com/timeoutSeconds": str(READY_SECONDS)}
        # A confirmed restore replaces the Cluster by another of another name, and leaves the old one where it is.
        options = ResourceOptions(protect=plan.protect, retain_on_delete=plan.retain)
        return k8s.apiextensions.CustomResource(
            plan.stable_name,
            api_version="postgresql.cnpg.io/v1",
            kind="Cluster",
            metadata=metadata(plan.name, plan.namespace, self._labels, ready),
            spec=cluster_spec(plan),
            opts=ResourceOptions.merge(self.child(depends_on=needed), options),
        )

    def _resource(
        self, kind: str, name: str, body: dict[str, Any], needed: list[pulumi.Resource] | None = None
    ) -> pulumi.Resource:
        group = "barmancloud.cnpg.io/v1" if kind == "ObjectStore" else "postgresql.cnpg.io/v1"
        return k8s.apiextensions.CustomResource(
            f"{self.plan.stable_name}-{kind.lower()}",
            api_version=group,
            kind=kind,
            metadata=metadata(name, self.plan.namespace, self._labels),
            spec=body,
            opts=self.child(depends_on=needed or []),
        )

    def _role(self, work: Workload) -> None:
        plan = self.plan
        files = role_files(plan)
        config = self.config_map(files)
        container = Container(
            name="psql",
            image=plan.image,
            command=["psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--file={ROLE_DIR}/role.sql"],
            resources=work.resources,
            env=role_environment(plan),
            mounts={ROLE_DIR: "sql", "/run/secrets/postgres": "ca"},
        )
        volumes = [files.volume("sql"), secret_volume("ca", plan.ca_secret, {"ca.crt": "ca.crt"})]
        template = pod_template(work, [container], volumes, **plan.pod_defaults)
        template["spec"]["restartPolicy"] = "OnFailure"
        k8s.batch.v1.Job(
            work.name,
            metadata=metadata(files.name, plan.namespace, work.labels, {"pulumi.com/timeoutSeconds": "300"}),
            spec=spec(backoffLimit=10, activeDeadlineSeconds=300, template=template),
            opts=self.child(depends_on=[config, self.cluster]),
        )
