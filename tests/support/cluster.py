"""The recorded objects as a cluster would hold them: pods of workloads, files that containers see, who selects whom."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stack.resources import Recording, Resource, pod_template

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """The pods of one workload, which are all alike."""

    owner: Resource
    template: Body

    @property
    def name(self) -> str:
        return str(self.owner)

    @property
    def namespace(self) -> str:
        return self.owner.namespace

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.template["metadata"].get("labels", {})
        return labels

    @property
    def spec(self) -> Body:
        spec: Body = self.template["spec"]
        return spec

    @property
    def containers(self) -> list["Container"]:
        """All containers, those that run first included."""
        init = [Container(self, body, init=True) for body in self.spec.get("initContainers", ())]
        return init + [Container(self, body) for body in self.spec["containers"]]

    @property
    def volumes(self) -> Mapping[str, Body]:
        return {volume["name"]: volume for volume in self.spec.get("volumes", ())}

    @property
    def claims(self) -> set[str]:
        """Volumes that a StatefulSet makes for each pod."""
        templates = self.owner.inputs["spec"].get("volumeClaimTemplates", ())
        return {template["metadata"]["name"] for template in templates}

    @property
    def ports(self) -> Iterator[tuple[str, int]]:
        """(name, number) of every port that a container names."""
        for container in self.containers:
            for port in container.body.get("ports", ()):
                yield port.get("name", ""), port["containerPort"]

    @property
    def runs_to_an_end(self) -> bool:
        return self.owner.kind in ("Job", "CronJob")


@dataclass(frozen=True)
class Container:
    """One container of a pod."""

    pod: Pod
    body: Body
    init: bool = False

    def __str__(self) -> str:
        return f"{self.pod.name}, container {self.body['name']}"

    @property
    def serves(self) -> bool:
        """Whether it runs for good: then it must be probed."""
        return not self.pod.runs_to_an_end and (not self.init or self.body.get("restartPolicy") == "Always")

    @property
    def mounts(self) -> Mapping[str, Body]:
        """Path -> mount."""
        return {mount["mountPath"]: mount for mount in self.body.get("volumeMounts", ())}

    @property
    def env(self) -> Mapping[str, Body]:
        return {variable["name"]: variable for variable in self.body.get("env", ())}


class Cluster:
    """A recording, asked the way a cluster is asked."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._files: dict[int, Mapping[str, str]] = {}

    def get(self, kind: str, namespace: str, name: str) -> Resource | None:
        return self._by_name.get((kind, namespace, name))

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str, str], Resource]:
        return {(r.kind, r.namespace, r.object_name): r for r in self.recording.objects}

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """Pods of every workload of ours (operators make more; those are not ours to describe)."""
        found = ((resource, pod_template(resource.inputs)) for resource in self.recording.objects)
        return tuple(Pod(resource, template) for resource, template in found if template is not None)

    @property
    def containers(self) -> Iterator[Container]:
        return (container for pod in self.pods for container in pod.containers)

    def selected(self, namespace: str, labels: Mapping[str, str]) -> list[Pod]:
        """Pods that carry all these labels."""
        return [pod for pod in self.pods if pod.namespace == namespace and labels.items() <= pod.labels.items()]

    @cached_property
    def namespaces(self) -> set[str]:
        return {resource.object_name for resource in self.recording.of_kind("Namespace")}

    def keys(self, kind: str, namespace: str, name: str) -> set[str] | None:
        """Keys of a ConfigMap or Secret; None when there is none of that name."""
        found = self.get(kind, namespace, name)
        if found is None:
            return None
        return {key for part in ("data", "stringData", "binaryData") for key in found.inputs.get(part) or ()}

    def text(self, kind: str, namespace: str, name: str, key: str) -> str:
        """What a ConfigMap or Secret holds under a key, empty if nothing."""
        found = self.get(kind, namespace, name)
        parts = (found.inputs.get(part) or {} for part in ("data", "stringData")) if found else ()
        return next((str(part[key]) for part in parts if key in part), "")

    def files(self, container: Container) -> Mapping[str, str]:
        """Path in the container -> text, for every file that comes out of a ConfigMap or a Secret."""
        if id(container.body) not in self._files:
            self._files[id(container.body)] = self._read_files(container)
        return self._files[id(container.body)]

    def _read_files(self, container: Container) -> Mapping[str, str]:
        result: dict[str, str] = {}
        for path, mount in container.mounts.items():
            volume = container.pod.volumes.get(mount["name"], {})
            for kind, name, items in volume_sources(volume):
                keys = self.keys(kind, container.pod.namespace, name) or set()
                chosen = {key: key for key in keys} if items is None else items
                for key, file in chosen.items():
                    text = self.text(kind, container.pod.namespace, name, key)
                    if "subPath" not in mount:
                        result[f"{path}/{file}"] = text
                    elif mount["subPath"] == file:
                        result[path] = text
        return result


def volume_sources(volume: Body) -> Iterator[tuple[str, str, dict[str, str] | None]]:
    """(kind, name, key -> file or None for all) of everything that a volume is filled from."""

    def items(source: Body) -> dict[str, str] | None:
        return {item["key"]: item["path"] for item in source["items"]} if "items" in source else None

    if "configMap" in volume:
        yield "ConfigMap", volume["configMap"]["name"], items(volume["configMap"])
    if "secret" in volume:
        yield "Secret", volume["secret"]["secretName"], items(volume["secret"])
    for source in volume.get("projected", {}).get("sources", ()):
        if "configMap" in source:
            yield "ConfigMap", source["configMap"]["name"], items(source["configMap"])
        if "secret" in source:
            yield "Secret", source["secret"]["name"], items(source["secret"])
