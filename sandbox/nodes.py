"""Makes the simulated cluster look like the machines and storage of one stack."""

from pathlib import Path

from sandbox.api import Api, Json, core, group
from sandbox.errors import SandboxError

_MANAGED = {"sandbox.invalid/simulated": "true"}
_PROVISIONER = "sandbox.invalid/simulated"


def wanted(stack_file: Path) -> tuple[list[Json], list[str]]:
    """Node manifests and storage class names that the stack file asks for."""
    from kube.errors import StackError
    from stack.capacity import node_objects
    from stack.load import read_stack_file

    try:
        settings = read_stack_file(stack_file)
    except StackError as error:
        raise SandboxError(
            f"{stack_file.name} is not a valid stack", detail=str(error), hint="correct the lines above"
        ) from None
    classes = settings.storage_classes
    return node_objects(settings), sorted({classes.general, classes.database, classes.object})


def serve(api: Api, stack_file: Path) -> int:
    """Create, replace and delete nodes and storage classes until they are the stack's; how many nodes changed."""
    nodes, classes = wanted(stack_file)
    changed = serve_nodes(api, nodes)
    serve_classes(api, classes)
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
