"""Custom resources of CloudNativePG and its Barman Cloud plugin: plan -> plain camelCase specs, no secrets."""

from typing import Any

from components.postgres.plan import PLUGIN, POOLER, PORT, SIDECAR, SWITCHOVER_DELAY, PoolerPlan, PostgresPlan
from kube.files import ConfigFiles
from kube.names import PART_OF, POOL_LABEL
from kube.pod import pool_tolerations
from kube.quantity import format_bytes

Spec = dict[str, Any]

ROLE_DIR = "/etc/postgres-role"


def _pull_secrets(plan: PostgresPlan) -> list[Spec]:
    return [{"name": name} for name in plan.pod_defaults["pull_secrets"]]


def _bootstrap(plan: PostgresPlan) -> Spec:
    """Read once, when the Cluster is made; the operator ignores it afterwards."""
    owner = {"database": plan.database, "owner": plan.owner, "secret": {"name": plan.credentials.name}}
    if plan.restore is not None:
        recovery: Spec = {"source": "origin", **owner}
        if plan.restore.target_time:
            recovery["recoveryTarget"] = {"targetTime": plan.restore.target_time}
        return {"recovery": recovery}
    # Synapse refuses a database with any other locale: the order of rows must not depend on a C library's version.
    return {"initdb": {**owner, "encoding": "UTF8", "localeCollate": "C", "localeCType": "C", "dataChecksums": True}}


def _plugin(plan: PostgresPlan, server_name: str) -> Spec:
    return {"name": PLUGIN, "parameters": {"barmanObjectName": plan.object_store, "serverName": server_name}}


def cluster_spec(plan: PostgresPlan) -> Spec:
    """Spec of the Cluster.

    hostAliases do not exist in CloudNativePG: its pods talk to the API server and to object storage only, so names
    of either must be in DNS. Everything here but the volumes' class and the bootstrap may be edited in place.
    """
    spec: Spec = {
        "description": "Synapse's database",
        "instances": plan.instances,
        "imageName": plan.image,
        "imagePullPolicy": "IfNotPresent",
        "inheritedMetadata": {"labels": {"app.kubernetes.io/part-of": PART_OF}},
        "bootstrap": _bootstrap(plan),
        "enableSuperuserAccess": False,
        "enablePDB": True,
        "storage": {"size": format_bytes(plan.storage), "storageClass": plan.storage_class},
        "walStorage": {"size": format_bytes(plan.wal), "storageClass": plan.storage_class},
        "resources": _resources(plan),
        "affinity": {
            "enablePodAntiAffinity": True,
            "podAntiAffinityType": "required",
            "topologyKey": "kubernetes.io/hostname",
            "nodeSelector": {POOL_LABEL: "database"},
            "tolerations": pool_tolerations("database"),
        },
        "postgresql": {
            "parameters": dict(plan.parameters),
            # Nobody talks to the database in clear, whatever a client's sslmode is.
            "pg_hba": ["hostnossl all all all reject"],
            "synchronous": {
                "method": "any",
                "number": plan.synchronous_standbys,
                # A commit that no other node has is no commit: without enough copies, writes wait.
                "dataDurability": "required",
                "failoverQuorum": True,
            },
        },
        "replicationSlots": {
            "highAvailability": {"enabled": True, "synchronizeLogicalDecoding": True},
            "updateInterval": 10,
        },
        # A new parameter or image costs one switchover (seconds) instead of a restart of the primary in place.
        "primaryUpdateStrategy": "unsupervised",
        "primaryUpdateMethod": "switchover",
        "switchoverDelay": SWITCHOVER_DELAY,
        # Synapse never closes its connections: waiting for clients to leave by themselves only prolongs a drain.
        "smartShutdownTimeout": 10,
        "startDelay": 3600,
        "stopDelay": 1800,
        "probes": {
            # An update waits until the copy streams again, so that two are never missing at once.
            "startup": {"type": "streaming", "periodSeconds": 10, "timeoutSeconds": 5},
            "readiness": {"type": "pg_isready", "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
            "liveness": {
                "periodSeconds": 10,
                "timeoutSeconds": 5,
                "failureThreshold": 3,
                # A primary that reaches neither the API server nor any other instance stops: another may be primary.
                "isolationCheck": {"enabled": True, "requestTimeout": 1000, "connectionTimeout": 1000},
            },
        },
        # The operator's own names cover its own idea of the cluster's domain; this is ours.
        "certificates": {"serverAltDNSNames": sorted({plan.primary, plan.host})},
    }
    if plan.backups.enabled:
        spec["plugins"] = [{**_plugin(plan, plan.name), "isWALArchiver": True, "enabled": True}]
    if plan.restore is not None:
        spec["externalClusters"] = [{"name": "origin", "plugin": _plugin(plan, plan.restore.backup_server_name)}]
    if _pull_secrets(plan):
        spec["imagePullSecrets"] = _pull_secrets(plan)
    return spec


def _resources(plan: PostgresPlan) -> Spec:
    return plan.resources.spec()


def object_store_spec(plan: PostgresPlan) -> Spec:
    """Spec of the ObjectStore: bucket, keys and authority, and what the plugin may use beside an instance."""
    store, keys = plan.store, plan.store.credentials(plan.store_user)
    configuration: Spec = {
        "destinationPath": f"s3://{store.bucket(plan.store_user)}/",
        "endpointURL": store.endpoint,
        "s3Credentials": {
            "accessKeyId": {"name": keys.name, "key": "access_key"},
            "secretAccessKey": {"name": keys.name, "key": "secret_key"},
        },
        "wal": {"compression": "gzip", "maxParallel": plan.backups.wal_parallel},
        "data": {"compression": "snappy", "jobs": 2, "immediateCheckpoint": False},
    }
    if store.ca is not None:
        configuration["endpointCA"] = {"name": store.ca.name, "key": "ca.crt"}
    return {
        "configuration": configuration,
        "retentionPolicy": plan.backups.retention,
        "instanceSidecarConfiguration": {
            "resources": SIDECAR.spec(),
            "env": [
                {"name": "AWS_DEFAULT_REGION", "value": store.region},
                # Newer boto3 adds checksums that many S3 services do not know; TLS and Barman check already.
                {"name": "AWS_REQUEST_CHECKSUM_CALCULATION", "value": "when_required"},
                {"name": "AWS_RESPONSE_CHECKSUM_VALIDATION", "value": "when_required"},
            ],
        },
    }


def scheduled_backup_spec(plan: PostgresPlan) -> Spec:
    """Spec of the ScheduledBackup. The first base backup is made at once: without one the WAL archive is worthless."""
    return {
        "schedule": plan.backups.schedule,
        "cluster": {"name": plan.name},
        "method": "plugin",
        "pluginConfiguration": {"name": PLUGIN},
        "backupOwnerReference": "cluster",
        "immediate": True,
        "target": "prefer-standby",
    }


def pooler_spec(plan: PostgresPlan, pooler: PoolerPlan) -> Spec:
    """Spec of the Pooler. Its pods come from the operator, which sets their security context."""
    selector = {"cnpg.io/poolerName": pooler.name}
    pod: Spec = {
        "nodeSelector": {POOL_LABEL: pooler.workload.pool},
        "tolerations": pool_tolerations(pooler.workload.pool),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector},
            }
        ],
        "containers": [{"name": "pgbouncer", "image": pooler.image, "resources": POOLER.spec()}],
    }
    if _pull_secrets(plan):
        pod["imagePullSecrets"] = _pull_secrets(plan)
    return {
        "cluster": {"name": plan.name},
        "type": "rw",
        "instances": pooler.settings.instances,
        "pgbouncer": {
            "poolMode": pooler.settings.mode,
            "image": pooler.image,
            "parameters": {
                "max_client_conn": str(pooler.max_client_connections),
                "default_pool_size": str(pooler.settings.server_connections),
                "max_db_connections": str(pooler.settings.server_connections),
                "client_tls_sslmode": "require",
            },
        },
        "template": {"metadata": {"labels": {"app.kubernetes.io/part-of": PART_OF}}, "spec": pod},
    }


def role_files(plan: PostgresPlan) -> ConfigFiles:
    """SQL that gives the role its defaults. A role may set its own, so no superuser is needed."""
    settings = plan.pooler.settings.role_settings if plan.pooler else {}
    lines = [
        f"ALTER ROLE CURRENT_USER SET {name} = '{value.replace(chr(39), chr(39) * 2)}';"
        for name, value in sorted(settings.items())
    ]
    return ConfigFiles(
        base=f"{plan.stable_name}-role", namespace=plan.namespace, data={"role.sql": "\n".join(lines) + "\n"}
    )


def role_environment(plan: PostgresPlan) -> dict[str, str | Spec]:
    """libpq's variables for the Job: straight to the primary, its name verified."""
    return {
        "PGHOST": plan.primary,
        "PGPORT": str(PORT),
        "PGDATABASE": plan.database,
        "PGUSER": plan.owner,
        "PGPASSWORD": plan.credentials.ref("password").env(),
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/run/secrets/postgres/ca.crt",
        "PGCONNECT_TIMEOUT": "10",
    }
