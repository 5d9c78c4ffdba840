"""What a program declared, as plain data: the common ground of tests, of `explain --against` and of the golden files.

Pure. `stack.record` makes it by running the program against a recording engine.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One declared resource with its options, as the engine would have received it. Secrets are unwrapped."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: Mapping[str, Any]
    secrets: frozenset[Path] = frozenset()
    """paths of `inputs` that were marked secret"""
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    provider: str = ""
    protect: bool = False
    retain_on_delete: bool = False
    delete_before_replace: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    replace_with: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def is_object(self) -> bool:
        """Whether it is an object of the Kubernetes API (a Helm release is not: it is many)."""
        return self.type.startswith("kubernetes:") and "kind" in self.inputs and "metadata" in self.inputs

    @property
    def kind(self) -> str:
        """`StatefulSet`; for what is no Kubernetes object the last part of the type (`RandomPassword`)."""
        return str(self.inputs["kind"]) if self.is_object else self.type.rpartition(":")[2]

    @property
    def namespace(self) -> str:
        return str((self.inputs.get("metadata") or {}).get("namespace", "")) if self.is_object else ""

    @property
    def object_name(self) -> str:
        """The name in Kubernetes; the logical name where there is none."""
        return str(self.inputs["metadata"].get("name", self.name)) if self.is_object else self.name

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {where}{self.object_name}"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A whole program, run once: every resource in the order of its urn, and what components exported."""

    stack: str
    resources: tuple[Resource, ...]
    outputs: Mapping[str, Mapping[str, Any]]
    """outputs that a component registered, by its urn"""
    sentinels: Mapping[str, str]
    """secret value that the recording engine made up -> the resource that it came from"""

    @cached_property
    def by_urn(self) -> Mapping[str, Resource]:
        return {resource.urn: resource for resource in self.resources}

    @cached_property
    def objects(self) -> tuple[Resource, ...]:
        """The objects of the Kubernetes API."""
        return tuple(resource for resource in self.resources if resource.is_object)

    @property
    def exports(self) -> Mapping[str, Any]:
        """Outputs of the stack."""
        root = next(r.urn for r in self.resources if r.type == "pulumi:pulumi:Stack")
        return self.outputs.get(root, {})

    def of_kind(self, *kinds: str) -> Iterator[Resource]:
        """Kubernetes objects of these kinds."""
        return (resource for resource in self.objects if resource.kind in kinds)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every scalar of a nested structure with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def pod_template(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The pod template of a workload, wherever its kind keeps it; None for what starts no pods."""
    spec = body.get("spec") or {}
    match body.get("kind"):
        case "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job":
            template: Mapping[str, Any] = spec["template"]
            return template
        case "CronJob":
            scheduled: Mapping[str, Any] = spec["jobTemplate"]["spec"]["template"]
            return scheduled
        case _:
            return None
