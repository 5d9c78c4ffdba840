"""What is declared for object storage, recorded at the engine's door."""

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.minio.component import MinioTenant
from components.minio.plan import MinioPlan
from kube.secret_values import SecretValues
from stack.record import record_program
from stack.resources import Recording, Resource
from tests.minio.examples import external, plan, platform


def declare(made: MinioPlan) -> Recording:
    def program() -> None:
        given = {f"minio.external.users.{user}.secret_key": pulumi.Output.secret("given") for user in made.secrets}
        MinioTenant(made, SecretValues("secrets", given))

    return record_program(program)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return declare(plan(platform(users=20_000)))


def only(recording: Recording, kind: str, test: Callable[[Resource], bool] = lambda _: True) -> Resource:
    found = [r for r in recording.of_kind(kind) if test(r)]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}"
    return found[0]


def pod(resource: Resource) -> dict[str, Any]:
    return resource.inputs["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def test_each_pool_is_a_stateful_set_with_a_budget(recording: Recording) -> None:
    names = ["minio-pool-0", "minio-pool-1", "minio-pool-2"]
    assert [r.object_name for r in recording.of_kind("StatefulSet")] == names
    assert [r.object_name for r in recording.of_kind("PodDisruptionBudget")] == names
    for budget in recording.of_kind("PodDisruptionBudget"):
        assert budget.inputs["spec"]["maxUnavailable"] == 1, "two servers of a pool hold half of every object"


def test_a_pool_is_protected_and_its_volumes_outlive_it(recording: Recording) -> None:
    for pool in recording.of_kind("StatefulSet"):
        assert pool.protect and pool.retain_on_delete
        policy = pool.inputs["spec"]["persistentVolumeClaimRetentionPolicy"]
        assert policy == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_a_new_drive_size_replaces_no_pool(recording: Recording) -> None:
    for pool in recording.of_kind("StatefulSet"):
        assert "spec.volumeClaimTemplates" in pool.ignore_changes, "Kubernetes would refuse, the engine would replace"


def test_all_servers_have_the_same_command(recording: Recording) -> None:
    commands = [pod(r)["containers"][0]["command"] for r in recording.of_kind("StatefulSet")]
    assert commands[0] == commands[1] == commands[2], "a server with another list waits for the others for ever"
    assert commands[0][:4] == ["silo", "server", "--address=:9000", "--certs-dir=/etc/minio/certs"]


def test_two_servers_of_one_pool_never_share_a_node_and_pools_avoid_each_other(recording: Recording) -> None:
    for pool in recording.of_kind("StatefulSet"):
        rules = pod(pool)["affinity"]["podAntiAffinity"]
        (must,) = rules["requiredDuringSchedulingIgnoredDuringExecution"]
        assert must["labelSelector"]["matchLabels"] == pool.inputs["spec"]["selector"]["matchLabels"]
        (may,) = rules["preferredDuringSchedulingIgnoredDuringExecution"]
        assert may["podAffinityTerm"]["labelSelector"]["matchLabels"] == {"app.kubernetes.io/component": "minio"}


def test_probes_speak_tls(recording: Recording) -> None:
    (server,) = pod(next(recording.of_kind("StatefulSet")))["containers"]
    for probe, path in (("startupProbe", "live"), ("livenessProbe", "live"), ("readinessProbe", "ready")):
        assert server[probe]["httpGet"] == {"path": f"/minio/health/{path}", "port": "https", "scheme": "HTTPS"}


def test_servers_find_each_other_before_they_are_ready(recording: Recording) -> None:
    headless = only(recording, "Service", lambda r: r.object_name == "minio-nodes").inputs["spec"]
    assert headless["publishNotReadyAddresses"] is True and headless["clusterIP"] == "None"
    front = only(recording, "Service", lambda r: r.object_name == "minio").inputs["spec"]
    assert "publishNotReadyAddresses" not in front, "clients are not sent to servers that are starting"
    for pool in recording.of_kind("StatefulSet"):
        labels = pool.inputs["spec"]["template"]["metadata"]["labels"]
        assert front["selector"].items() <= labels.items() and headless["selector"].items() <= labels.items()


def test_the_job_has_no_labels_of_the_servers(recording: Recording) -> None:
    labels = only(recording, "Job").inputs["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] != "minio", "the Service would send clients to it"


def test_the_job_mounts_every_file_that_its_script_names(recording: Recording) -> None:
    job = only(recording, "Job")
    (container,) = pod(job)["containers"]
    mounted = {m["mountPath"] for m in container["volumeMounts"]}
    config = only(recording, "ConfigMap")
    for word in config.inputs["data"]["setup.sh"].replace('"', " ").split():
        path = word.replace("$1", "loki")
        if path.startswith(("/run/", "/etc/")):
            assert any(path.startswith(f"{m}/") for m in mounted), f"{path} is not mounted"
    assert pod(job)["restartPolicy"] == "OnFailure"
    assert job.object_name == config.object_name, "the Job is named by what it does"


def test_secrets_are_in_secrets_only(recording: Recording) -> None:
    assert recording.sentinels, "the recording engine made secrets up"
    for resource in recording.objects:
        if resource.kind != "Secret":
            text = str(resource.inputs)
            assert not any(value in text for value in recording.sentinels), f"a secret is in {resource.kind}"


def test_an_external_store_is_secrets_and_nothing_else() -> None:
    recording = declare(external())
    assert {r.kind for r in recording.objects} == {"Secret"}


def test_an_unprotected_stack_protects_nothing() -> None:
    for pool in declare(plan(platform(protect=False))).of_kind("StatefulSet"):
        assert not pool.protect and not pool.retain_on_delete
