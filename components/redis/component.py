"""RedisSentinel: declares what the plan decided."""

import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

from components.redis.files import AUTH_DIR, CONFIG_DIR, DATA_DIR, proxy_files, server_files
from components.redis.plan import PROXY_METRICS_PORT, REDIS_PORT, SENTINEL, SENTINEL_PORT, RedisPlan
from kube.component import SKIP_AWAIT, Component, metadata, service_spec, spec
from kube.pod import (
    Container,
    disruption_budget,
    exec_probe,
    http_probe,
    pod_template,
    scratch_volume,
    secret_volume,
)
from kube.quantity import MI
from kube.secret_values import SecretValues


class RedisSentinel(Component):
    """Highly available Valkey with Sentinel, and a proxy that always answers as the current primary.

    Pulumi type:  matrix:data:RedisSentinel
    Creates:      Secret, 2 ConfigMaps, headless Service, StatefulSet (3), proxy Deployment (2) and Service, 2 budgets
    Survives:     loss of any one pod or node; clients reconnect within ten seconds
    Loses:        at most the pub/sub messages of the failover window (Synapse re-reads its streams after reconnecting);
                  the cache, when a primary's pod is back before the Sentinels notice: it is empty, and still primary
    """

    def __init__(self, plan: RedisPlan, secrets: SecretValues, opts: ResourceOptions | None = None) -> None:
        super().__init__("matrix:data:RedisSentinel", plan.name, None, opts)
        self.plan = plan
        auth = secrets.secret(self, plan.auth, plan.servers.labels)
        self._servers(auth)
        self._proxy(auth)
        self.register_outputs({"host": plan.host, "port": REDIS_PORT, "sentinels": list(plan.sentinels)})

    def _servers(self, auth: k8s.core.v1.Secret) -> None:
        plan, workload = self.plan, self.plan.servers
        files = server_files(plan)
        config = self.config_map(files)
        k8s.core.v1.Service(
            plan.headless,
            metadata=metadata(plan.headless, plan.namespace, workload.labels, SKIP_AWAIT),
            spec=service_spec(
                workload.selector,
                {"redis": REDIS_PORT, "sentinel": SENTINEL_PORT},
                headless=True,
                publish_not_ready=True,  # Sentinels must find each other while nobody is ready yet
            ),
            opts=self.child(),
        )
        auth_env = {"REDISCLI_AUTH": plan.password.env()}
        mounts = {CONFIG_DIR: "config", AUTH_DIR: "auth"}
        ping = ["sh", "-c", f"valkey-cli -p {REDIS_PORT} ping | grep -qE 'PONG|LOADING|MASTERDOWN'"]
        linked = f"valkey-cli -p {REDIS_PORT} info replication | grep -qE 'role:master|master_link_status:up'"
        valkey = Container(
            name="valkey",
            image=plan.image,
            command=["sh", f"{CONFIG_DIR}/start-server.sh"],
            resources=workload.resources,
            ports={"redis": REDIS_PORT},
            env=auth_env,
            mounts=mounts,
            writable={DATA_DIR: "data"},
            startup=exec_probe(ping, period=2, failures=60),
            readiness=exec_probe(["sh", "-c", f"valkey-cli -p {REDIS_PORT} ping | grep -q PONG"], period=5),
            # A replica that follows a dead primary for a minute was missed by the Sentinels' failover (they had not
            # yet heard of it). Started again, it asks them whom to follow.
            liveness=exec_probe(["sh", "-c", linked], period=10, failures=6),
        )
        ask = ["sh", "-c", f"valkey-cli -p {SENTINEL_PORT} ping | grep -q PONG"]
        sentinel = Container(
            name="sentinel",
            image=plan.image,
            command=["sh", f"{CONFIG_DIR}/start-sentinel.sh"],
            resources=SENTINEL,
            ports={"sentinel": SENTINEL_PORT},
            env=auth_env,
            mounts=mounts,
            writable={DATA_DIR: "sentinel"},
            startup=exec_probe(ask, period=2, failures=60),
            readiness=exec_probe(ask, period=5),
            liveness=exec_probe(ask, period=10, failures=6),
        )
        volumes = [
            files.volume("config"),
            secret_volume("auth", plan.auth.name, {"server.conf": "server.conf", "sentinel.conf": "sentinel.conf"}),
            scratch_volume("data", size=workload.resources.memory_limit),
            scratch_volume("sentinel", size=16 * MI),
        ]
        k8s.apps.v1.StatefulSet(
            workload.name,
            metadata=metadata(workload.name, plan.namespace, workload.labels, {"pulumi.com/timeoutSeconds": "600"}),
            spec=spec(
                serviceName=plan.headless,
                replicas=workload.replicas,
                podManagementPolicy="Parallel",
                selector={"matchLabels": workload.selector},
                template=pod_template(workload, [valkey, sentinel], volumes, **plan.pod_defaults),
            ),
            opts=self.child(depends_on=[config, auth]),
        )
        k8s.policy.v1.PodDisruptionBudget(
            workload.name,
            metadata=metadata(workload.name, plan.namespace, workload.labels),
            spec=disruption_budget(workload),
            opts=self.child(),
        )

    def _proxy(self, auth: k8s.core.v1.Secret) -> None:
        plan, workload = self.plan, self.plan.proxy
        files = proxy_files(plan)
        config = self.config_map(files)
        haproxy = Container(
            name="haproxy",
            image=plan.proxy_image,
            command=["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"],
            resources=workload.resources,
            ports={"redis": REDIS_PORT, "metrics": PROXY_METRICS_PORT},
            env={"REDIS_PASSWORD": plan.password.env()},
            mounts={"/etc/haproxy": "config"},
            readiness=http_probe("/health", "metrics", period=5),
            liveness=http_probe("/health", "metrics", period=10, failures=6),
        )
        k8s.apps.v1.Deployment(
            workload.name,
            metadata=metadata(workload.name, plan.namespace, workload.labels, {"pulumi.com/timeoutSeconds": "300"}),
            spec=spec(
                replicas=workload.replicas,
                strategy={"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
                selector={"matchLabels": workload.selector},
                template=pod_template(workload, [haproxy], [files.volume("config")], **plan.pod_defaults),
            ),
            opts=self.child(depends_on=[config, auth]),
        )
        k8s.core.v1.Service(
            plan.name,
            metadata=metadata(plan.name, plan.namespace, workload.labels, SKIP_AWAIT),
            spec=service_spec(workload.selector, {"redis": REDIS_PORT, "metrics": PROXY_METRICS_PORT}),
            opts=self.child(),
        )
        k8s.policy.v1.PodDisruptionBudget(
            workload.name,
            metadata=metadata(workload.name, plan.namespace, workload.labels),
            spec=disruption_budget(workload),
            opts=self.child(),
        )
