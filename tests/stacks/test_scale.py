"""Small, medium and large are one platform: the same systems, in numbers that fit together and fit the machines."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from kube.pod import Spread, Workload
from kube.quantity import parse_bytes, parse_cpu
from stack.capacity import node_objects
from stack.plan import StackPlan
from stack.resources import Recording, Resource
from tests.support.cluster import Cluster
from tests.support.hosts import replicas_at_most
from tests.support.report import none_of
from tests.support.variants import STACKS, recording_of


def _shape(recording: Recording) -> set[tuple[str, str, str]]:
    """(type, parent's type, name) with counters taken out: pools and shards may be more."""

    def plain(name: str) -> str:
        return re.sub(r"-\d+(?=-|$)", "-N", name).replace(recording.stack, "STACK")

    return {(r.type, recording.by_urn[r.parent].type if r.parent else "", plain(r.name)) for r in recording.resources}


def test_all_stacks_have_the_same_topology() -> None:
    shapes = {stack: _shape(recording_of(stack)) for stack in STACKS}
    union = set().union(*shapes.values())
    bad = [f"{stack} lacks {item}" for stack, shape in shapes.items() for item in union - shape]
    none_of(bad, "what works at one scale must exist at the others")


def _expected(plan: StackPlan) -> dict[tuple[str, str], Workload]:
    return {(w.namespace, w.name): w for w in plan.workloads}


def test_the_capacity_report_counts_exactly_what_is_declared(cluster: Cluster, plan: StackPlan) -> None:
    """Replicas, autoscalers' maxima, pools and requests of every pod that we declare."""
    known = _expected(plan)
    bad = []
    for pod in cluster.pods:
        work = known.get((pod.namespace, pod.labels.get("app.kubernetes.io/name", "")))
        if work is None:
            bad.append(f"{pod.name} is not in the plan's workloads")
            continue
        running = [c for c in pod.containers if not c.init or c.body.get("restartPolicy") == "Always"]
        cpu = sum(parse_cpu(c.body["resources"]["requests"]["cpu"]) for c in running)
        memory = sum(parse_bytes(c.body["resources"]["requests"]["memory"]) for c in running)
        most = replicas_at_most(cluster, pod.owner)
        pool = pod.spec["nodeSelector"]["synapse-platform/pool"]
        said = (work.cpu, work.memory, work.pool, work.peak_replicas)
        if (cpu, memory, pool, most) != said:
            bad.append(f"{pod.name}: declared {(cpu, memory, pool, most)}, planned {said}")
    none_of(bad, "capacity is checked against the plan, and the scheduler reads the declaration")


def test_every_pod_finds_a_node_with_one_node_of_each_pool_lost(plan: StackPlan) -> None:
    """Packs pods onto nodes, one by one, as a scheduler must: sums may fit where pieces do not."""
    lost = {f"{name}-1" for name in plan.settings.node_pools}
    room = {
        node["metadata"]["name"]: [
            parse_cpu(node["status"]["allocatable"]["cpu"]),
            parse_bytes(node["status"]["allocatable"]["memory"]),
            node["metadata"]["labels"]["synapse-platform/pool"],
            int(node["status"]["allocatable"]["pods"]),
        ]
        for node in node_objects(plan.settings)
        if node["metadata"]["name"] not in lost
    }
    bad = []
    for work in sorted(plan.workloads, key=lambda w: (w.memory, w.cpu), reverse=True):
        used: set[str] = set()
        for number in range(work.peak_replicas):
            fitting = [
                name
                for name, (cpu, memory, pool, pods) in room.items()
                if pool == work.pool and cpu >= work.cpu and memory >= work.memory and pods
                if not (work.spread is Spread.REQUIRE and name in used)
            ]
            if not fitting:
                # One of a quorum may wait for the lost node: its disk is there, and the others go on without it.
                if work.spread is Spread.REQUIRE and number == work.peak_replicas - 1:
                    continue
                bad.append(f"{work.name}-{number}")
                continue
            # The emptiest node first, as the scheduler spreads; one that has no pod of this workload yet if possible.
            chosen = min(fitting, key=lambda name: (name in used, -room[name][1]))
            used.add(chosen)
            room[chosen][0] -= work.cpu
            room[chosen][1] -= work.memory
            room[chosen][3] -= 1
    none_of(bad, "losing a node of each pool must leave room for every pod")


def _documents(cluster: Cluster) -> Iterator[tuple[str, dict[str, Any]]]:
    for config in cluster.recording.of_kind("ConfigMap"):
        for key, text in config.inputs["data"].items():
            if key.endswith(".yaml"):
                document = yaml.safe_load(text)
                if isinstance(document, dict):
                    yield config.name, document


def test_database_connections_suffice_for_every_process_at_its_most(cluster: Cluster) -> None:
    """Summed from the rendered configs, not from the plan."""
    total, processes = 0, 0
    for pod in cluster.pods:
        for container in pod.containers:
            for path, text in cluster.files(container).items():
                document = yaml.safe_load(text) if path.endswith("/process.yaml") else None
                if not container.init and document and "database" in document:
                    total += document["database"]["args"]["cp_max"] * replicas_at_most(cluster, pod.owner)
                    processes += 1
    allowed = [int(c.inputs["spec"]["postgresql"]["parameters"]["max_connections"]) for c in _databases(cluster)]
    assert processes > 10, "every Synapse process has a database section"
    assert total <= min(allowed) - 20, f"{total} connections at most, PostgreSQL allows {allowed}; operators need some"


def _databases(cluster: Cluster) -> list[Resource]:
    return [c for c in cluster.recording.of_kind("Cluster") if "instances" in c.inputs["spec"]]


def test_quorums_are_odd(cluster: Cluster, plan: StackPlan) -> None:
    bad = [
        f"{r.name}: {r.servers.replicas}"
        for r in (plan.redis_synapse, plan.redis_livekit)
        if not r.servers.replicas % 2
    ]
    for config in cluster.recording.of_kind("ConfigMap"):
        for monitor in re.findall(r"sentinel monitor \S+ \S+ \d+ (\d+)", "\n".join(config.inputs["data"].values())):
            replicas = next(
                p.owner.inputs["spec"]["replicas"] for p in cluster.pods if p.owner.object_name == config.name
            )
            if int(monitor) != replicas // 2 + 1:
                bad.append(f"{config}: {monitor} of {replicas} is no majority")
    for database in cluster.recording.of_kind("Cluster"):
        if database.inputs["spec"]["instances"] % 2 == 0:
            bad.append(f"{database}: {database.inputs['spec']['instances']} instances")
    none_of(bad, "half of an even number is no majority")


SINGLE_WRITERS = ("typing", "to_device", "account_data", "presence", "push_rules", "quarantined_media_changes")


def test_streams_that_synapse_lets_one_process_write_have_one_writer(cluster: Cluster) -> None:
    found = [document for _, document in _documents(cluster) if "stream_writers" in document]
    assert len(found) == 1, "one list of writers, mounted by everybody"
    writers: dict[str, list[str]] = found[0]["stream_writers"]
    instances = found[0]["instance_map"]
    bad = [f"{s}: {writers[s]}" for s in SINGLE_WRITERS if s in writers and len(writers[s]) != 1]
    bad += [
        f"{s}: {name} is not in instance_map" for s, names in writers.items() for name in names if name not in instances
    ]
    none_of(bad, "Synapse refuses to start otherwise")
    assert "main" in instances, "workers find the main process here"


def test_there_is_one_main_process_and_no_autoscaler_for_it(cluster: Cluster) -> None:
    main = [p for p in cluster.pods if p.owner.object_name == "synapse-main"]
    assert [replicas_at_most(cluster, p.owner) for p in main] == [1]


def test_upload_size_is_the_same_all_along_the_chain(cluster: Cluster, plan: StackPlan) -> None:
    wanted = plan.settings.synapse.max_upload_bytes
    synapse = {d["max_upload_size"] for _, d in _documents(cluster) if "max_upload_size" in d}
    assert synapse == {wanted}, "Synapse's own limit"
    router = "\n".join(
        text
        for c in cluster.recording.of_kind("ConfigMap")
        for text in c.inputs["data"].values()
        if "frontend " in text
    )
    assert re.search(rf"content-length\S* gt {wanted}\b", router), "the router refuses with 413 what Synapse would"
