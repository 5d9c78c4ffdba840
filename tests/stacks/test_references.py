"""Names lead somewhere: Secrets, ConfigMaps, volumes, files."""

import re
from collections import Counter
from collections.abc import Iterator

from kube.names import MAX_NAME
from stack.resources import Recording, leaves
from tests.support import paths
from tests.support.cluster import Body, Cluster, Container, volume_sources
from tests.support.report import none_of

_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_DNS_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")


def _env_sources(container: Container) -> Iterator[tuple[str, str, str, bool]]:
    for variable in container.body.get("env", ()):
        source: Body = variable.get("valueFrom") or {}
        for kind, field in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
            if field in source:
                yield kind, source[field]["name"], source[field]["key"], bool(source[field].get("optional"))


def test_every_secret_and_config_map_that_a_pod_names_exists_with_its_keys(cluster: Cluster) -> None:
    bad = []
    for pod in cluster.pods:
        for volume in pod.volumes.values():
            for kind, name, items in volume_sources(volume):
                keys = cluster.keys(kind, pod.namespace, name)
                if keys is None:
                    if not (kind == "Secret" and name in paths.made_by_operators(cluster, pod.namespace)):
                        bad.append(f"{pod.name}: {kind} {name} does not exist")
                else:
                    bad += [f"{pod.name}: {kind} {name} has no key {key}" for key in set(items or ()) - keys]
        for container in pod.containers:
            for kind, name, key, optional in _env_sources(container):
                keys = cluster.keys(kind, pod.namespace, name)
                made = keys is None and name in paths.made_by_operators(cluster, pod.namespace)
                if not optional and not made and key not in (keys or ()):
                    bad.append(f"{container}: {kind} {name} has no key {key}")
    none_of(bad, "the kubelet would wait for these for ever")


def test_every_config_map_is_mounted_by_somebody(cluster: Cluster) -> None:
    used = {
        (pod.namespace, name) for pod in cluster.pods for v in pod.volumes.values() for _, name, _ in volume_sources(v)
    }
    bad = [r for r in cluster.recording.of_kind("ConfigMap") if (r.namespace, r.object_name) not in used]
    none_of(bad, "a file that nobody reads is a mistake or a leftover")


def test_config_maps_are_immutable_and_named_by_their_content(cluster: Cluster) -> None:
    bad = [
        r
        for r in cluster.recording.of_kind("ConfigMap")
        if not r.inputs.get("immutable") or not re.fullmatch(rf"{re.escape(r.name)}-[0-9a-f]{{8}}", r.object_name)
    ]
    none_of(bad, "pods restart exactly when a file of theirs changes, because its name does")


def test_mounts_and_volumes_of_a_pod_belong_together(cluster: Cluster) -> None:
    bad = []
    for pod in cluster.pods:
        declared = pod.volumes.keys() | pod.claims
        mounted = {mount["name"] for container in pod.containers for mount in container.mounts.values()}
        bad += [f"{pod.name}: mounts {name}, which is no volume" for name in mounted - declared]
        bad += [f"{pod.name}: nobody mounts volume {name}" for name in declared - mounted]
        for container in pod.containers:
            inner = [
                f"{container}: {path} lies in read-only {outer}"
                for path in container.mounts
                for outer, mount in container.mounts.items()
                if path.startswith(f"{outer}/") and mount.get("readOnly")
            ]
            bad += inner
    none_of(bad, "a volume and its mount are one thing")


def test_every_path_that_a_config_names_is_there(cluster: Cluster) -> None:
    none_of(paths.missing(cluster), "the program would not find these files")


def test_every_mount_is_named_by_something(cluster: Cluster) -> None:
    none_of(paths.unnamed(cluster), "a mount that no config, argument or variable names is a mistake or a leftover")


def test_objects_are_unique(recording: Recording) -> None:
    count = Counter(
        (r.inputs["apiVersion"].split("/")[0], r.kind, r.namespace, r.object_name) for r in recording.objects
    )
    none_of((key for key, number in count.items() if number > 1), "two resources that own one object fight over it")


def test_names_fit(cluster: Cluster) -> None:
    bad = []
    for resource in cluster.recording.objects:
        name = resource.object_name
        if not _DNS_NAME.match(name) or len(name) > MAX_NAME:
            bad.append(f"{resource}: {len(name)} characters")
        if resource.kind in ("StatefulSet", "Deployment", "DaemonSet", "Job", "CronJob"):
            # What Kubernetes appends: StatefulSet `-123` and in a label a hash of ten; Deployment hash and suffix;
            # Job a suffix; CronJob a time.
            suffix = {"StatefulSet": 11, "Deployment": 17, "DaemonSet": 11, "Job": 6, "CronJob": 11}[resource.kind]
            if len(name) + suffix > MAX_NAME:
                bad.append(f"{resource}: {len(name)} characters, Kubernetes appends {suffix}")
    none_of(bad, f"names of objects and pods end at {MAX_NAME} characters")


def test_label_values_fit(cluster: Cluster) -> None:
    bad = []
    for resource in cluster.recording.objects:
        for path, value in leaves(resource.inputs):
            is_label = "labels" in path[:-1] or "matchLabels" in path[:-1]
            if is_label and not (isinstance(value, str) and _LABEL_VALUE.fullmatch(value)):
                bad.append(f"{resource}: {'.'.join(map(str, path))} = {value!r}")
    none_of(bad, "the API server refuses such labels")


def test_objects_carry_the_recommended_labels(cluster: Cluster) -> None:
    wanted = {f"app.kubernetes.io/{key}" for key in ("name", "component", "part-of", "managed-by")}
    bad = [
        f"{r}: lacks {', '.join(sorted(wanted - r.inputs['metadata'].get('labels', {}).keys()))}"
        for r in cluster.recording.objects
        if r.kind not in ("Namespace", "Secret") and wanted - r.inputs["metadata"].get("labels", {}).keys()
    ]
    none_of(bad, "people and dashboards find things by these labels")


def test_namespaces_that_objects_live_in_are_declared_or_another_one_s(cluster: Cluster, variant: str) -> None:
    used = {r.namespace for r in cluster.recording.objects if r.namespace}
    foreign = {"metallb-system", "envoy-gateway-system"} if variant == "operators-there" else set()
    none_of(used - cluster.namespaces - foreign, "an object in a namespace that nobody makes cannot be created")
