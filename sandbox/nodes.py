"""Makes the simulated cluster look like the machines and storage of one stack."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.api import Api, Json, core, group
from sandbox.errors import SandboxError

_MANAGED = {"sandbox.invalid/simulated": "true"}
_PROVISIONER = "sandbox.invalid/simulated"


@dataclass(frozen=True)
class Surroundings:
    """What a stack finds in a cluster that is ready for it."""

    nodes: list[Json]
    storage_classes: list[str]
    operator_namespaces: list[str]


def wanted(stack_file: Path) -> Surroundings:
    """The machines, storage classes and operators' namespaces that the stack file expects."""
    from kube.errors import StackError
    from stack.capacity import node_objects
    from stack.load import read_stack_file
    from stack.plan import make_plan

    try:
        settings = read_stack_file(stack_file)
        plan = make_plan(settings, stack_file.name.split(".")[1])
    except StackError as error:
        raise SandboxError(
            f"{stack_file.name} is not a valid stack", detail=str(error), hint="correct the lines above"
        ) from None
    classes = settings.storage_classes
    return Surroundings(
        nodes=node_objects(settings),
        storage_classes=sorted({classes.general, classes.database, classes.object}),
        operator_namespaces=sorted(set(plan.operators.places.values())),
    )


def serve(api: Api, stack_file: Path) -> int:
    """Create, replace and delete nodes and storage classes until they are the stack's; how many nodes changed."""
    found = wanted(stack_file)
    changed = serve_nodes(api, found.nodes)
    serve_classes(api, found.storage_classes)
    for name in found.operator_namespaces:  # the operators are simulated, so somebody must "have installed" them
        api.create(
            core("namespaces"),
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": _MANAGED}},
        )
    return changed


def serve_nodes(api: Api, nodes: list[Json]) -> int:
    manifests = {node["metadata"]["name"]: _marked(node) for node in nodes}
    existing = {node["metadata"]["name"]: node for node in api.list(core("nodes"))}
    changed = 0
    for name, node in existing.items():
        if name not in manifests or not _same(manifests[name], node):
            api.delete(core("nodes", name=name), now=True)
            changed += name not in manifests
    for name, manifest in manifests.items():
        if name not in existing or not _same(manifest, existing[name]):
            if api.create(core("nodes"), manifest) is None:
                raise SandboxError(f"the simulated node {name} could not be replaced", hint="try again")
            changed += 1
    return changed


def _marked(node: Json) -> Json:
    metadata = node["metadata"]
    return node | {"metadata": metadata | {"labels": metadata["labels"] | _MANAGED}}


def _same(manifest: Json, node: Json) -> bool:
    def essence(item: Json) -> object:
        taints = [t for t in item.get("spec", {}).get("taints", []) if not t["key"].startswith("node.kubernetes.io/")]
        status = item["status"]
        return (
            sorted(item["metadata"]["labels"].items()),
            sorted((t["key"], t.get("value", ""), t["effect"]) for t in taints),
            {k: str(v) for k, v in status["capacity"].items()},
            {k: str(v) for k, v in status["allocatable"].items()},
        )

    return essence(manifest) == essence(node)


def serve_classes(api: Api, names: list[str]) -> None:
    collection = "storage.k8s.io/v1"
    for existing in api.list(group(collection, "storageclasses")):
        if existing["metadata"]["name"] not in names:
            api.delete(group(collection, "storageclasses", name=existing["metadata"]["name"]))
    for name in names:
        body = {
            "apiVersion": collection,
            "kind": "StorageClass",
            "metadata": {"name": name, "labels": _MANAGED},
            "provisioner": _PROVISIONER,
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": True,
            "volumeBindingMode": "WaitForFirstConsumer",
        }
        api.apply(group(collection, "storageclasses", name=name), body)
