"""The pods of each type: pure data, so that a restart can be foreseen by comparing two plans."""

from typing import Any

from components.redis.plan import REDIS_PORT
from components.synapse import media
from components.synapse.files import instance_files, process_files, reads_senders, sender_files, shared_files
from components.synapse.instances import REPLICATION_PORT, sender_shards, writer_shards
from components.synapse.media import CLEANER
from components.synapse.paths import (
    CONFIG_DIR,
    DATABASE_CA_DIR,
    INSTANCES_DIR,
    MEDIA_CA_DIR,
    PROCESS_DIR,
    REDIS_DIR,
    RUN_DIR,
    SECRETS_DIR,
    SENDERS_DIR,
    TMP_DIR,
)
from components.synapse.plan import HEALTH_PORT, HTTP_PORT, METRICS_PORT, SynapsePlan
from components.synapse.process_types import ProcessType, Serves
from components.synapse.processes import Process
from kube.pod import Container, Resources, Spec, exec_probe, http_probe, pod_template, scratch_volume, secret_volume
from kube.quantity import MI

GRACE_SECONDS = 60
DRAIN_SECONDS = 15
"""Between "this pod goes" and the signal to Synapse, for pools whose pods leave the DNS as soon as they go: the router
asks every 2 s and forgets a name after 3 s, the cluster's DNS caches for 5 s. The rest is for requests under way."""

WAIT = Resources(cpu=50, memory=64 * MI, memory_limit=256 * MI)
"""The init container. Does not count for the scheduler: it runs before the process, which asks for more."""

READY_PERIOD_SECONDS = 5
LIVE_PERIOD_SECONDS, LIVE_FAILURES = 30, 10
"""A busy Python process may not answer for a minute; five minutes of silence are a dead one."""

MEDIA_VOLUME_DIR = "/data"


def drains(process: Process) -> bool:
    """Whether the pods of this type can be taken out of the router before they stop.

    Only those whose names nobody else needs: a writer's name must resolve while it is slow to answer, so it stays in
    the DNS until the pod is gone.
    """
    return process.traits.scales


def ports(process: Process) -> dict[str, int]:
    result = {"metrics": METRICS_PORT, "health": HEALTH_PORT}
    if process.traits.serves is not Serves.NOTHING:
        result["http"] = HTTP_PORT
    if process.is_main or process.traits.stream:
        result["replication"] = REPLICATION_PORT
    return result


def _database_env(plan: SynapsePlan) -> dict[str, str | Spec]:
    """libpq reads the password here: a password file would have to belong to us alone, which a mounted one cannot."""
    return {"PGPASSWORD": plan.database.credentials.ref("password").env()}


def wait_container(plan: SynapsePlan, process: Process) -> Container:
    """Waits for PostgreSQL, Redis, the schema, and for processes with other lists of writers to end."""
    senders = sender_shards(plan.processes) if process.type is ProcessType.FEDERATION_SENDER else None
    return Container(
        name="wait",
        image=plan.image,
        command=["python3", f"{CONFIG_DIR}/wait.py"],
        resources=WAIT,
        env={
            "ROLE": "main" if process.is_main else "worker",
            "SHARDS": writer_shards(plan.processes),
            **({"SENDER_SHARDS": senders} if senders else {}),
            "REDIS_HOST": plan.redis.host,
            "REDIS_PORT": str(REDIS_PORT),
            "PGHOST": plan.database.host,
            "PGPORT": str(plan.database.port),
            "PGDATABASE": plan.database.database,
            "PGUSER": plan.database.owner,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": f"{DATABASE_CA_DIR}/ca.crt",
            **_database_env(plan),
        },
        mounts={CONFIG_DIR: "config", DATABASE_CA_DIR: "database-ca"},
    )


def synapse_container(plan: SynapsePlan, process: Process) -> Container:
    """Synapse itself."""
    is_media = process.type is ProcessType.MEDIA_REPOSITORY
    startup = plan.startup_seconds(process)
    mounts = {
        CONFIG_DIR: "config",
        INSTANCES_DIR: "instances",
        PROCESS_DIR: "process",
        SECRETS_DIR: "secrets",
        REDIS_DIR: "redis",
        DATABASE_CA_DIR: "database-ca",
    }
    if reads_senders(process):
        mounts[SENDERS_DIR] = "senders"
    if is_media and plan.media.ca:
        mounts[MEDIA_CA_DIR] = "media-ca"
    return Container(
        name="synapse",
        image=plan.image,
        command=["sh", f"{CONFIG_DIR}/start.sh", "main" if process.is_main else "worker"],
        resources=process.resources,
        ports=ports(process),
        env={
            "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
            **_database_env(plan),
            **(media.environment(plan.media) if is_media else {}),
            **dict(process.extra_env),
        },
        mounts=mounts,
        writable={TMP_DIR: "tmp", RUN_DIR: "run", **({MEDIA_VOLUME_DIR: "media"} if is_media else {})},
        startup=http_probe("/health", "health", period=5, timeout=5, failures=startup // 5),
        readiness=http_probe("/health", "health", period=READY_PERIOD_SECONDS, timeout=5, failures=3),
        liveness=http_probe("/health", "health", period=LIVE_PERIOD_SECONDS, timeout=20, failures=LIVE_FAILURES),
        pre_stop=["sleep", str(DRAIN_SECONDS)] if drains(process) else (),
    )


def clean_container(plan: SynapsePlan) -> Container:
    """The clean-up beside the media process."""
    recent = f'test -n "$(find {media.CLEAN_ALIVE} -mmin -60)"'
    return Container(
        name="clean-up",
        image=plan.image,
        command=["python3", f"{CONFIG_DIR}/clean_media.py"],
        resources=CLEANER,
        env={
            **media.environment(plan.media),
            **media.clean_environment(plan.settings, plan.media),
        },
        mounts={CONFIG_DIR: "config", **({MEDIA_CA_DIR: "media-ca"} if plan.media.ca else {})},
        writable={TMP_DIR: "clean-up", MEDIA_VOLUME_DIR: "media"},
        startup=exec_probe(["sh", "-c", f"test -e {media.CLEAN_ALIVE}"], period=5, failures=60),
        readiness=exec_probe(["sh", "-c", f"test -e {media.CLEAN_ALIVE}"], period=30),
        liveness=exec_probe(["sh", "-c", recent], period=60, failures=5),
    )


def volumes(plan: SynapsePlan, process: Process) -> list[Spec]:
    is_media = process.type is ProcessType.MEDIA_REPOSITORY
    result = [
        shared_files(plan).volume("config"),
        instance_files(plan).volume("instances"),
        process_files(plan, process).volume("process"),
        secret_volume("secrets", plan.secret.name),
        secret_volume("redis", plan.redis.password.name, {plan.redis.password.key: "password"}),
        secret_volume("database-ca", plan.database.ca_secret, {"ca.crt": "ca.crt"}),
        scratch_volume("run", size=MI, memory=True),
        scratch_volume("tmp", size=media.scratch_bytes(plan.settings) if is_media else 64 * MI),
    ]
    if reads_senders(process):
        result.append(sender_files(plan).volume("senders"))
    if is_media:
        result.append(scratch_volume("media", size=media.cache_bytes(plan.settings.media)))
        result.append(scratch_volume("clean-up", size=16 * MI))
        if plan.media.ca:
            result.append(secret_volume("media-ca", plan.media.ca.name, {"ca.crt": "ca.crt"}))
    return result


def template(plan: SynapsePlan, process: Process) -> Any:
    """The pod template of one type."""
    containers = [synapse_container(plan, process)]
    if process.type is ProcessType.MEDIA_REPOSITORY:
        containers.append(clean_container(plan))
    return pod_template(
        plan.workload(process),
        containers,
        volumes(plan, process),
        init=[wait_container(plan, process)],
        grace_seconds=GRACE_SECONDS,
        **plan.pod_defaults,
    )


def stateful_set(plan: SynapsePlan, process: Process) -> Spec:
    """`spec` of the StatefulSet of one type."""
    selector = {"matchLabels": plan.workload(process).selector}
    return {
        "serviceName": process.name,
        "replicas": process.replicas,
        "podManagementPolicy": "Parallel",
        "selector": selector,
        "template": template(plan, process),
        # A quarter at a time, rounded up: one of up to four. Kubernetes before 1.35 takes one at a time regardless.
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%"}},
    }


def autoscaler(plan: SynapsePlan, process: Process) -> Spec:
    """`spec` of the HorizontalPodAutoscaler: up at once, down one pod at a time after ten quiet minutes."""
    if process.autoscale is None:
        raise ValueError(f"{process.name} is not autoscaled")
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": process.name},
        "minReplicas": process.replicas,
        "maxReplicas": process.autoscale.maximum,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": process.autoscale.cpu_percent},
                },
            }
        ],
        "behavior": {
            "scaleUp": {"policies": [{"type": "Percent", "value": 100, "periodSeconds": 60}]},
            "scaleDown": {
                "stabilizationWindowSeconds": 600,
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}],
            },
        },
    }
