"""What SynapseCluster declares, and with which of the engine's options."""

import pytest

from components.synapse.component import SynapseCluster
from components.synapse.plan import SynapsePlan
from components.synapse.process_types import ProcessType
from kube.secret_values import SecretValues
from stack.record import record_program
from stack.resources import Recording, Resource
from tests.synapse.builders import LARGE, SMALL, plan


def recorded(made: SynapsePlan) -> Recording:
    return record_program(lambda: SynapseCluster(made, SecretValues("secrets", protect=False)) and None)


@pytest.fixture(scope="module")
def opened() -> tuple[SynapsePlan, Recording]:
    made = plan(SMALL, federation=True)
    return made, recorded(made)


def one(recording: Recording, kind: str, name: str) -> Resource:
    (found,) = [r for r in recording.resources if r.kind == kind and r.name == name]
    return found


def named(urns: tuple[str, ...]) -> set[str]:
    return {f"{urn.split('::')[2].rpartition(':')[2]} {urn.split('::')[3]}" for urn in urns}


def test_each_type_has_its_five_objects(opened: tuple[SynapsePlan, Recording]) -> None:
    made, recording = opened
    for process in made.processes:
        for kind in ("StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget"):
            one(recording, kind, process.name)
        scalers = [r for r in recording.resources if r.kind == "HorizontalPodAutoscaler" and r.name == process.name]
        assert len(scalers) == (1 if process.autoscale else 0)


def test_every_process_is_replaced_with_the_lists_of_writers(opened: tuple[SynapsePlan, Recording]) -> None:
    made, recording = opened
    lists = one(recording, "ConfigMap", "synapse-instances")
    assert lists.delete_before_replace, "only then does the engine delete all StatefulSets before it creates one"
    for process in made.processes:
        resource = one(recording, "StatefulSet", process.name)
        triggers = {"ConfigMap synapse-instances"}
        if process.type is ProcessType.FEDERATION_SENDER:
            triggers.add("ConfigMap synapse-senders")
        assert named(resource.replace_with) == triggers
        assert resource.delete_before_replace, "two StatefulSets of one name cannot be"
        assert triggers <= named(resource.dependencies), "what it is replaced with must be made before it"
        assert not resource.protect, "a protected one could not be replaced"
        annotations = resource.inputs["metadata"]["annotations"]
        assert annotations["pulumi.com/deletionPropagationPolicy"] == "background", (
            "or each deletion waits for its pods"
        )


def test_workers_come_after_main(opened: tuple[SynapsePlan, Recording]) -> None:
    made, recording = opened
    for process in made.processes:
        after = named(one(recording, "StatefulSet", process.name).dependencies)
        assert ("StatefulSet synapse-main" in after) != process.is_main, "main changes the schema that workers need"


def test_the_autoscalers_count_is_left_alone(opened: tuple[SynapsePlan, Recording]) -> None:
    made, recording = opened
    for process in made.processes:
        ignored = one(recording, "StatefulSet", process.name).ignore_changes
        assert ignored == (("spec.replicas",) if process.autoscale else ())


def test_pods_that_can_drain_leave_the_dns_and_writers_stay(opened: tuple[SynapsePlan, Recording]) -> None:
    made, recording = opened
    for process in made.processes:
        service = one(recording, "Service", process.name).inputs["spec"]
        assert service["clusterIP"] == "None"
        stays = service.get("publishNotReadyAddresses", False)
        assert stays != process.traits.scales, "a slow writer must not lose its name; a leaving reader must"
        container = one(recording, "StatefulSet", process.name).inputs["spec"]["template"]["spec"]["containers"][0]
        assert ("lifecycle" in container) == process.traits.scales


def test_the_engine_waits_longer_than_a_process_may_take_to_start(opened: tuple[SynapsePlan, Recording]) -> None:
    made, recording = opened
    for process in made.processes:
        resource = one(recording, "StatefulSet", process.name)
        probe = resource.inputs["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
        budget = probe["periodSeconds"] * probe["failureThreshold"]
        assert int(resource.inputs["metadata"]["annotations"]["pulumi.com/timeoutSeconds"]) > budget


def test_large_gives_main_more_time_to_start_than_small() -> None:
    small, large = plan(SMALL), plan(LARGE)
    main = small.processes[ProcessType.MAIN], large.processes[ProcessType.MAIN]
    assert small.startup_seconds(main[0]) < large.startup_seconds(main[1]), "schema changes take longer on large tables"


def test_synapse_pods_have_no_cpu_limit_unless_it_is_asked_for() -> None:
    resources = {"cpu": "1", "memory": "1Gi", "cpu_limit": "2"}
    made = plan(SMALL, workers={"typing": {"resources": resources}})
    for process in made.processes:
        limits = process.resources.spec()["limits"]
        assert ("cpu" in limits) == (process.type is ProcessType.TYPING)


def test_only_media_pods_get_the_keys_of_object_storage(opened: tuple[SynapsePlan, Recording]) -> None:
    made, recording = opened
    for process in made.processes:
        pod = one(recording, "StatefulSet", process.name).inputs["spec"]["template"]["spec"]
        names = {e["name"] for c in pod["containers"] for e in c["env"]}
        assert ("AWS_SECRET_ACCESS_KEY" in names) == (process.type is ProcessType.MEDIA_REPOSITORY)


def test_the_router_knows_a_server_for_every_process_that_answers(opened: tuple[SynapsePlan, Recording]) -> None:
    made, _ = opened
    behind = {pool.servers[0].name.rsplit("-", 1)[0] for pool in made.router.pools}
    answering = {p.name for p in made.processes if p.traits.serves.value}
    assert behind == answering
    for pool in made.router.pools:
        process = next(p for p in made.processes if pool.servers[0].name.startswith(f"{p.name}-0"))
        assert len(pool.servers) >= process.maximum, f"{pool.pool}: a pod that no router knows does nothing"
