"""What is declared for PostgreSQL, recorded at the engine's door."""

from typing import Any

import pytest

from components.minio.component import MinioTenant
from components.postgres.component import PostgresHA
from components.postgres.plan import PLUGIN, PostgresPlan
from components.postgres.settings import SYNAPSE_SESSION
from kube.secret_values import SecretValues
from stack.record import record_program
from stack.resources import Recording, Resource
from tests.postgres.examples import ORIGIN, TRANSACTION, plan, platform


def declare(made: PostgresPlan) -> Recording:
    def program() -> None:
        secrets = SecretValues("secrets")
        PostgresHA(made, secrets, store=MinioTenant(made.store, secrets))

    return record_program(program)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return declare(plan())


def only(recording: Recording, kind: str) -> Resource:
    found = list(recording.of_kind(kind))
    assert len(found) == 1, f"{len(found)} objects of kind {kind}"
    return found[0]


def spec(recording: Recording, kind: str = "Cluster") -> dict[str, Any]:
    return only(recording, kind).inputs["spec"]  # type: ignore[no-any-return]


def test_the_cluster_commits_on_another_node_or_not_at_all(recording: Recording) -> None:
    assert spec(recording)["postgresql"]["synchronous"] == {
        "method": "any",
        "number": 1,
        "dataDurability": "required",
        "failoverQuorum": True,
    }


def test_the_database_is_one_that_synapse_accepts(recording: Recording) -> None:
    database = spec(recording)["bootstrap"]["initdb"]
    locale = (database["encoding"], database["localeCollate"], database["localeCType"])
    assert locale == ("UTF8", "C", "C"), "Synapse refuses to start on any other"
    assert (database["database"], database["owner"]) == ("synapse", "synapse")
    assert database["secret"] == {"name": "postgres-main-owner"}


def test_the_log_and_the_data_have_volumes_of_their_own_on_the_fast_class(recording: Recording) -> None:
    made = spec(recording)
    assert made["storage"] == {"size": "200Gi", "storageClass": "database-nvme"}
    assert made["walStorage"] == {"size": "30Gi", "storageClass": "database-nvme"}


def test_instances_are_kept_apart_on_the_database_nodes(recording: Recording) -> None:
    affinity = spec(recording)["affinity"]
    assert (affinity["podAntiAffinityType"], affinity["topologyKey"]) == ("required", "kubernetes.io/hostname")
    assert affinity["nodeSelector"] == {"synapse-platform/pool": "database"}
    assert affinity["tolerations"][0]["value"] == "database"


def test_memory_is_guaranteed_and_limited(recording: Recording) -> None:
    resources = spec(recording)["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"] == "8Gi"


def test_connections_in_clear_are_refused_and_our_names_are_certified(recording: Recording) -> None:
    made = spec(recording)
    assert "hostnossl all all all reject" in made["postgresql"]["pg_hba"]
    assert made["certificates"]["serverAltDNSNames"] == ["postgres-main-rw.matrix.svc.cluster.local"]


def test_logical_slots_follow_a_failover(recording: Recording) -> None:
    slots = spec(recording)["replicationSlots"]["highAvailability"]
    assert slots == {"enabled": True, "synchronizeLogicalDecoding": True}


def test_the_run_waits_for_the_cluster_and_protects_it(recording: Recording) -> None:
    cluster = only(recording, "Cluster")
    assert cluster.inputs["metadata"]["annotations"]["pulumi.com/waitFor"] == "condition=Ready"
    assert cluster.protect and cluster.retain_on_delete


def test_backups_go_by_the_plugin_to_the_bucket_with_a_key_of_their_own(recording: Recording) -> None:
    (plugin,) = spec(recording)["plugins"]
    assert plugin["name"] == PLUGIN and plugin["isWALArchiver"] is True
    store = only(recording, "ObjectStore")
    assert plugin["parameters"] == {"barmanObjectName": store.object_name, "serverName": "postgres-main"}
    configuration = store.inputs["spec"]["configuration"]
    assert configuration["destinationPath"] == "s3://postgres-backups/"
    assert configuration["endpointURL"] == "https://minio.matrix.svc.cluster.local:9000"
    assert configuration["s3Credentials"]["secretAccessKey"] == {"name": "minio-postgres-backups", "key": "secret_key"}
    secrets = {r.object_name: r.inputs["stringData"] for r in recording.of_kind("Secret")}
    assert configuration["endpointCA"]["key"] in secrets[configuration["endpointCA"]["name"]]
    assert "secret_key" in secrets["minio-postgres-backups"]
    assert "serverName" not in configuration, "it must stay empty there: the plugin reads its parameter"
    assert "backup" not in spec(recording), "the in-tree backup is gone in CloudNativePG 1.31"


def test_the_first_base_backup_is_made_at_once(recording: Recording) -> None:
    backup = spec(recording, "ScheduledBackup")
    assert backup["immediate"] is True and backup["method"] == "plugin"
    assert len(backup["schedule"].split()) == 6
    assert backup["cluster"] == {"name": only(recording, "Cluster").object_name}


def test_the_database_does_not_wait_for_object_storage_but_backups_do(recording: Recording) -> None:
    def needs_job(resource: Resource) -> bool:
        return any("Job" in urn for urn in resource.dependencies)

    assert not needs_job(only(recording, "Cluster"))
    assert needs_job(only(recording, "ScheduledBackup"))


def test_without_backups_there_is_nothing_of_the_plugin() -> None:
    recording = declare(plan(backups={"enabled": False}))
    assert "plugins" not in spec(recording)
    assert not list(recording.of_kind("ObjectStore", "ScheduledBackup"))


def test_a_restore_reads_one_folder_and_writes_another() -> None:
    recording = declare(plan(restore=ORIGIN))
    made, cluster = spec(recording), only(recording, "Cluster")
    assert "initdb" not in made["bootstrap"], "a cluster is made in one way"
    recovery = made["bootstrap"]["recovery"]
    assert recovery["recoveryTarget"] == {"targetTime": ORIGIN["target_time"]}
    assert recovery["secret"] == {"name": "postgres-main-owner"}, "the owner's password is set to ours"
    (origin,) = [e for e in made["externalClusters"] if e["name"] == recovery["source"]]
    read = origin["plugin"]["parameters"]["serverName"]
    written = made["plugins"][0]["parameters"]["serverName"]
    assert (read, written) == ("postgres-main", cluster.object_name) and read != written


def test_a_restore_replaces_the_cluster_of_the_same_resource() -> None:
    before, after = only(declare(plan()), "Cluster"), only(declare(plan(restore=ORIGIN)), "Cluster")
    assert before.urn == after.urn, "so that the engine stops at the protection, and keeps the old one when confirmed"
    assert before.object_name != after.object_name


@pytest.mark.parametrize(
    "settings",
    [
        {"instances": 5},
        {"storage": "300Gi", "wal_storage": "60Gi"},
        {"resources": {"cpu": "2", "memory": "9Gi"}},
        {"max_connections": 380},
        {"parameters": {"random_page_cost": "2"}},
        {"backups": {"enabled": False}},
        {"pooler": {"enabled": True}},
    ],
)
def test_an_edit_keeps_the_identity_of_the_cluster(recording: Recording, settings: dict[str, Any]) -> None:
    before, after = only(recording, "Cluster"), only(declare(plan(**settings)), "Cluster")
    assert (before.urn, before.object_name) == (after.urn, after.object_name)
    assert not after.replace_on_changes and not after.delete_before_replace
    assert before.inputs["spec"]["bootstrap"] == after.inputs["spec"]["bootstrap"]


def test_a_pooler_is_encrypted_and_its_name_is_certified() -> None:
    recording = declare(plan(pooler={"enabled": True}))
    pooler = spec(recording, "Pooler")
    assert pooler["pgbouncer"]["poolMode"] == "session"
    assert pooler["pgbouncer"]["parameters"]["client_tls_sslmode"] == "require"
    assert pooler["cluster"] == {"name": "postgres-main"}
    names = spec(recording)["certificates"]["serverAltDNSNames"]
    assert "postgres-main-pooler.matrix.svc.cluster.local" in names, "clients verify the name that they connect to"
    (container,) = pooler["template"]["spec"]["containers"]
    assert container["image"] == pooler["pgbouncer"]["image"]
    assert container["resources"]["limits"]["memory"]


def test_transaction_mode_has_a_job_that_sets_the_role() -> None:
    recording = declare(plan(pooler={**TRANSACTION, "server_connections": 100}))
    (sql,) = [r.inputs["data"]["role.sql"] for r in recording.of_kind("ConfigMap") if "role.sql" in r.inputs["data"]]
    for name, value in SYNAPSE_SESSION.items():
        assert f"ALTER ROLE CURRENT_USER SET {name} = '{value}';" in sql
    (job,) = [r for r in recording.of_kind("Job") if "role" in r.object_name]
    (container,) = job.inputs["spec"]["template"]["spec"]["containers"]
    env = {e["name"]: e for e in container["env"]}
    assert env["PGSSLMODE"]["value"] == "verify-full"
    assert env["PGHOST"]["value"] == "postgres-main-rw.matrix.svc.cluster.local", "past the pooler"
    assert "valueFrom" in env["PGPASSWORD"]


def test_a_quote_in_a_role_setting_stays_a_quote() -> None:
    settings = {**TRANSACTION["role_settings"], "application_name": "it's"}  # type: ignore[dict-item]
    recording = declare(plan(pooler={**TRANSACTION, "role_settings": settings, "server_connections": 100}))
    (sql,) = [r.inputs["data"]["role.sql"] for r in recording.of_kind("ConfigMap") if "role.sql" in r.inputs["data"]]
    assert "SET application_name = 'it''s';" in sql


def test_pull_secrets_reach_every_pod_of_the_operator() -> None:
    frame = platform()
    with_secrets = type(frame)(**{**frame.__dict__, "pull_secrets": ("mirror",)})
    recording = declare(plan(with_secrets, pooler={"enabled": True}))
    assert spec(recording)["imagePullSecrets"] == [{"name": "mirror"}]
    assert spec(recording, "Pooler")["template"]["spec"]["imagePullSecrets"] == [{"name": "mirror"}]


def test_secrets_are_in_secrets_only(recording: Recording) -> None:
    assert recording.sentinels, "the recording engine made secrets up"
    for resource in recording.objects:
        if resource.kind != "Secret":
            text = str(resource.inputs)
            assert not any(value in text for value in recording.sentinels), f"a secret is in {resource.kind}"
