"""MinioTenant: declares what the plan decided."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

from components.minio.files import SECRETS_DIR, SETUP_DIR, setup_files
from components.minio.plan import COMPONENT, HEADLESS, PORT, USERS, MinioPlan, TenantPlan
from components.minio.settings import DRIVES
from kube.component import SKIP_AWAIT, Component, metadata, service_spec, spec
from kube.names import labels
from kube.pod import Container, Workload, disruption_budget, http_probe, pod_template, scratch_volume, secret_volume
from kube.quantity import MI, format_bytes
from kube.secret_values import SecretValues

CERTS_DIR = "/etc/minio/certs"
DEADLINE = 900
"""Seconds that the servers may take to come up, and the Job to do its work. Then it fails, and says why in its log."""
SELECTOR = {"app.kubernetes.io/component": COMPONENT}
"""The servers of all pools: they answer as one store."""


class MinioTenant(Component):
    """S3-compatible object storage: erasure-coded pools of servers, or an external store's credentials.

    Pulumi type:  matrix:data:MinioTenant
    Creates:      Secrets, ConfigMap, 2 Services; for each pool a StatefulSet (4) and a budget; a Job (buckets, users)
    Survives:     one server (two drives) of every pool at once without a pause; EC:4: two servers of a pool read-only
    Loses:        nothing that was acknowledged. A new image or a longer list of pools restarts the servers one after
                  the other; requests at a server that restarts fail, and clients repeat them at another
    External:     Secrets only; buckets and rights are the store's own
    """

    def __init__(self, plan: MinioPlan, secrets: SecretValues, opts: ResourceOptions | None = None) -> None:
        super().__init__("matrix:data:MinioTenant", plan.name, None, opts)
        self.plan = plan
        self._secrets = secrets
        ours = labels(plan.name, COMPONENT)
        users: list[pulumi.Resource] = [secrets.secret(self, secret, ours) for secret in plan.secrets.values()]
        if plan.ca is not None:
            users.append(secrets.secret(self, plan.ca, ours))
        if plan.tenant is not None:
            self._setup(plan.tenant, self._servers(plan.tenant), users)
        self.register_outputs({"endpoint": plan.endpoint, "buckets": sorted(set(plan.buckets.values()))})

    def _servers(self, tenant: TenantPlan) -> list[pulumi.Resource]:
        plan, ours = self.plan, labels(self.plan.name, COMPONENT)
        needed: list[pulumi.Resource] = [
            self._secrets.secret(self, secret, ours) for secret in (tenant.root, tenant.tls)
        ]
        for name, headless in ((plan.name, False), (HEADLESS, True)):
            service = k8s.core.v1.Service(
                name,
                metadata=metadata(name, plan.namespace, ours, SKIP_AWAIT),
                # Servers wait for each other before any of them is ready.
                spec=service_spec(SELECTOR, {"https": PORT}, headless=headless, publish_not_ready=headless),
                opts=self.child(),
            )
            needed.append(service)
        return [self._pool(tenant, pool, needed) for pool in tenant.pools]

    def _pool(self, tenant: TenantPlan, pool: Workload, needed: list[pulumi.Resource]) -> pulumi.Resource:
        plan = self.plan
        drives = [f"data{index}" for index in range(DRIVES)]
        server = Container(
            name="minio",
            image=tenant.image,
            command=[
                *tenant.command,
                "server",
                f"--address=:{PORT}",
                f"--certs-dir={CERTS_DIR}",
                *tenant.volumes,
            ],
            resources=pool.resources,
            ports={"https": PORT},
            env={
                "MINIO_ROOT_USER_FILE": f"{SECRETS_DIR}/user",
                "MINIO_ROOT_PASSWORD_FILE": f"{SECRETS_DIR}/password",
                "MINIO_STORAGE_CLASS_STANDARD": f"EC:{tenant.parity}",
                "MINIO_SITE_REGION": plan.region,
                # Nothing is fetched from or told to the vendor, and there is no console to protect.
                "MINIO_UPDATE": "off",
                "MINIO_BROWSER": "off",
                # Who may scrape is decided by network policy.
                "MINIO_PROMETHEUS_AUTH_TYPE": "public",
                # The garbage collector works harder before the kernel kills.
                "GOMEMLIMIT": str(pool.resources.memory_limit * 9 // 10),
            },
            mounts={CERTS_DIR: "certs", SECRETS_DIR: "root"},
            writable={"/tmp": "scratch", **{f"/{drive}": drive for drive in drives}},
            startup=http_probe("/minio/health/live", "https", period=5, failures=60, tls=True),
            # Not /minio/health/cluster: it fails on every server at once when a quorum is lost, and reads would be
            # cut off as well.
            readiness=http_probe("/minio/health/ready", "https", period=5, tls=True),
            liveness=http_probe("/minio/health/live", "https", period=10, failures=6, timeout=10, tls=True),
        )
        volumes = [
            secret_volume(
                "certs",
                tenant.tls.name,
                {"tls.crt": "public.crt", "tls.key": "private.key", "ca.crt": "CAs/internal.crt"},
            ),
            secret_volume("root", tenant.root.name),
            scratch_volume("scratch", size=64 * MI),
        ]
        template = pod_template(pool, [server], volumes, grace_seconds=60, **tenant.pod_defaults)
        template["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {
                "weight": 100,
                # Two servers of one pool never share a node; servers of different pools do not if there are nodes.
                "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": SELECTOR},
                },
            }
        ]
        stateful_set = k8s.apps.v1.StatefulSet(
            pool.name,
            metadata=metadata(pool.name, plan.namespace, pool.labels, {"pulumi.com/timeoutSeconds": "900"}),
            spec=spec(
                serviceName=HEADLESS,
                replicas=pool.replicas,
                podManagementPolicy="Parallel",
                # A restarted server reconnects to the others' drives within fifteen seconds (the interval of its
                # monitor); the next one may not go before that, or the write quorum is lost.
                minReadySeconds=15,
                selector={"matchLabels": pool.selector},
                template=template,
                persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"},
                volumeClaimTemplates=[self._claim(tenant, drive) for drive in drives],
            ),
            opts=self.child(
                depends_on=needed,
                protect=tenant.protect,
                # Kubernetes would have to replace the StatefulSet; a new size is for pools that come later.
                ignore_changes=["spec.volumeClaimTemplates"],
            ),
        )
        k8s.policy.v1.PodDisruptionBudget(
            pool.name,
            metadata=metadata(pool.name, plan.namespace, pool.labels),
            spec=disruption_budget(pool),
            opts=self.child(),
        )
        return stateful_set

    def _claim(self, tenant: TenantPlan, drive: str) -> dict[str, Any]:
        return {
            "metadata": {"name": drive},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": tenant.storage_class,
                "resources": {"requests": {"storage": format_bytes(tenant.drive_size)}},
            },
        }

    def _setup(self, tenant: TenantPlan, servers: list[pulumi.Resource], users: list[pulumi.Resource]) -> None:
        plan, work = self.plan, tenant.setup
        files = setup_files(plan, tenant)
        config = self.config_map(files)
        client = self._secrets.secret(self, tenant.client_config, work.labels)
        container = Container(
            name="setup",
            image=tenant.image,
            command=["sh", f"{SETUP_DIR}/setup.sh"],
            resources=work.resources,
            mounts={
                SETUP_DIR: "setup",
                f"{SECRETS_DIR}/client": "client",
                f"{SECRETS_DIR}/ca": "ca",
                **{f"{SECRETS_DIR}/users/{user.name}": f"user-{user.name}" for user in USERS},
            },
            writable={"/tmp": "scratch"},
        )
        volumes = [
            files.volume("setup"),
            secret_volume("client", tenant.client_config.name),
            secret_volume("ca", tenant.tls.name, {"ca.crt": "ca.crt"}),
            scratch_volume("scratch", size=64 * MI),
            *(secret_volume(f"user-{user.name}", plan.credentials(user.name).name) for user in USERS),
        ]
        template = pod_template(work, [container], volumes, **tenant.pod_defaults)
        template["spec"]["restartPolicy"] = "OnFailure"
        k8s.batch.v1.Job(
            work.name,
            # Named by what it does: a change of script, policy or key makes another Job, which runs again.
            metadata=metadata(files.name, plan.namespace, work.labels, {"pulumi.com/timeoutSeconds": str(DEADLINE)}),
            spec=spec(backoffLimit=10, activeDeadlineSeconds=DEADLINE, template=template),
            opts=self.child(depends_on=[config, client, *servers, *users]),
        )
