"""What an edit does: which pods restart, what changes in place, what is replaced. Pure.

The rules are those of the Kubernetes provider (`forceNewProperties` in its provider/pkg/provider/diff.go, 4.26) and
of Pulumi's options (`ignoreChanges`, `replaceOnChanges`, `replaceWith`, `protect`), applied to two recordings.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from stack.resources import Recording, Resource, pod_template

REPLACING: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps", "Deployment"): ("spec.selector",),
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "StatefulSet"): (
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    ("batch", "Job"): ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    ("", "PersistentVolumeClaim"): (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeName",
    ),
    ("", "Secret"): ("type",),
    ("", "Service"): ("spec.clusterIP",),
    ("", "ResourceQuota"): ("spec.scopes",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
}
"""Fields whose change makes the provider replace an object, by (API group, kind). Name and namespace always do."""

IMMUTABLE_DATA: Mapping[str, tuple[str, ...]] = {
    "ConfigMap": ("data", "binaryData"),
    "Secret": ("data", "stringData", "type"),
}
"""The same where the object is marked immutable (our provider is told that others are mutable)."""

# Inputs of pulumi-random and pulumi-tls that may change without a new value.
_KEPT_VALUES = frozenset({"earlyRenewalHours"})

_RESTARTING = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


@dataclass(frozen=True, order=True, kw_only=True)
class Change:
    """One object that an edit touches, with the fields that differ."""

    kind: str
    namespace: str
    name: str
    fields: tuple[str, ...] = field(default=(), compare=False)

    @property
    def title(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What an edit does to a running stack. Empty means that nothing at all happens."""

    restart: tuple[Change, ...] = ()
    """workloads whose pods are replaced, a few at a time, because their pod template changes"""
    change: tuple[Change, ...] = ()
    """updated in place; no pod of ours restarts by it"""
    files: tuple[Change, ...] = ()
    """config files with a new content: a new immutable object beside the old one, which pods keep until they restart"""
    replace: tuple[Change, ...] = ()
    """deleted and made again, pods included"""
    create: tuple[Change, ...] = ()
    delete: tuple[Change, ...] = ()
    refused: tuple[Change, ...] = ()
    """protected, and would have to be deleted or replaced: the engine refuses the whole edit"""

    def __bool__(self) -> bool:
        return any(getattr(self, f.name) for f in fields(self))


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Paths that differ. Lists of named things (containers, volumes, ports, env) are compared by name."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(old, list) and isinstance(new, list) and _named(old) and _named(new):
        before, after = ({str(item["name"]): item for item in items} for items in (old, new))
        for key in sorted(before.keys() | after.keys()):
            yield from differences(before.get(key), after.get(key), f"{path}[{key}]")
        if list(before) != list(after) and before.keys() == after.keys():
            yield path
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before_item, after_item) in enumerate(zip(old, new, strict=True)):
            yield from differences(before_item, after_item, f"{path}[{index}]")
    elif old != new:
        yield path


def _named(items: list[Any]) -> bool:
    names = [item.get("name") for item in items if isinstance(item, Mapping)]
    return bool(items) and len(names) == len(items) and None not in names and len(set(names)) == len(names)


def _under(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith((f"{root}.", f"{root}[")) for root in roots)


def _group(resource: Resource) -> str:
    group, _, version = str(resource.inputs.get("apiVersion", "")).rpartition("/")
    return group if version else ""


def replacing_fields(resource: Resource) -> tuple[str, ...]:
    """Fields of this resource whose change replaces it."""
    always = ("metadata.name", "metadata.namespace")
    own = REPLACING.get((_group(resource), resource.kind), ())
    data = IMMUTABLE_DATA.get(resource.kind, ()) if resource.inputs.get("immutable") else ()
    return (*always, *own, *data, *resource.replace_on_changes)


def _replaces(resource: Resource, changed: Iterable[str]) -> bool:
    if resource.type.startswith(("random:", "tls:")):
        return any(path not in _KEPT_VALUES for path in changed)
    if resource.type == "kubernetes:helm.sh/v3:Release":
        return any(path in ("name", "namespace") for path in changed)
    return resource.is_object and any(_under(path, replacing_fields(resource)) for path in changed)


def _change(resource: Resource, paths: Iterable[str] = ()) -> Change:
    # A config file's object has a new name with every content; people know it by the name that stays.
    name = resource.name if resource.kind == "ConfigMap" else resource.object_name
    return Change(kind=resource.kind, namespace=resource.namespace, name=name, fields=tuple(paths))


def _restarts(old: Resource, new: Resource) -> bool:
    return new.kind in _RESTARTING and pod_template(old.inputs) != pod_template(new.inputs)


def effects(old: Recording, new: Recording) -> Effects:
    """What applying `new` does to a stack that runs `old`. Components are left out: they are only brackets."""
    before, after = ({r.urn: r for r in recording.resources if r.custom} for recording in (old, new))
    changed: dict[str, tuple[str, ...]] = {}
    for urn in before.keys() & after.keys():
        found = differences(before[urn].inputs, after[urn].inputs)
        paths = tuple(path for path in found if not _under(path, after[urn].ignore_changes))
        if paths:
            changed[urn] = paths
    replaced = {urn for urn, paths in changed.items() if _replaces(after[urn], paths)}
    # Whoever is bound to a replaced resource is replaced with it.
    while bound := {
        urn for urn in before.keys() & after.keys() if urn not in replaced and replaced & set(after[urn].replace_with)
    }:
        replaced |= bound

    result: dict[str, list[Change]] = {f.name: [] for f in fields(Effects)}
    for urn in sorted(after.keys() - before.keys()):
        result["create"].append(_change(after[urn]))
    for urn in sorted(before.keys() - after.keys()):
        result["refused" if before[urn].protect else "delete"].append(_change(before[urn]))
    for urn in sorted(changed.keys() | replaced):
        resource, paths = after[urn], changed.get(urn, ())
        if urn in replaced and before[urn].protect and resource.protect:
            where = "refused"
        elif urn in replaced:
            where = "files" if _is_new_file(before[urn], resource) else "replace"
        elif _restarts(before[urn], resource):
            where = "restart"
        else:
            where = "change"
        result[where].append(_change(resource, paths))
    return Effects(**{name: tuple(sorted(items)) for name, items in result.items()})


def _is_new_file(old: Resource, new: Resource) -> bool:
    return new.kind == "ConfigMap" and old.namespace == new.namespace and old.object_name != new.object_name


_POD = re.compile(r"^spec\.template\.(spec|metadata)\.?")


def short(path: str) -> str:
    """A changed field, as short as it stays clear: what lies in a pod template goes without its address."""
    return _POD.sub("", path).replace("metadata.annotations.", "annotations.") or "spec.template"
