"""`python -m sandbox.node.volumes <state> <kubeconfig>`: gives every claim a directory of its node.

Claims of storage classes with our provisioner, once the scheduler has chosen the node. A volume's directory goes with
the volume when its class says Delete; a volume that is kept (Retain) keeps it until `down`.
"""

import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from sandbox.api import Api, ApiError, Json, core, group
from sandbox.node.layout import VOLUMES, read_nodes

PROVISIONER = "sandbox.invalid/directory"
_SELECTED = "volume.kubernetes.io/selected-node"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_INTERVAL = 0.5


class Volumes:
    """Looks at claims and volumes, and makes what is missing. `roots`: each node's directory, from outside."""

    def __init__(self, api: Api, roots: Mapping[str, Path]) -> None:
        self.api = api
        self.roots = roots

    def look(self) -> None:
        classes = {
            item["metadata"]["name"]: item
            for item in self.api.list(group("storage.k8s.io/v1", "storageclasses"))
            if item["provisioner"] == PROVISIONER
        }
        volumes = {item["metadata"]["name"]: item for item in self.api.list(core("persistentvolumes"))}
        for claim in self.api.list(core("persistentvolumeclaims")):
            name = f"pvc-{claim['metadata']['uid']}"
            node = claim["metadata"].get("annotations", {}).get(_SELECTED)
            if claim["status"].get("phase") == "Pending" and node and name not in volumes:
                found = classes.get(claim["spec"].get("storageClassName", ""))
                if found:
                    self.provide(claim, name, found, node)
        for name, volume in volumes.items():
            if volume["metadata"].get("annotations", {}).get(_PROVISIONED_BY) == PROVISIONER:
                self.release(name, volume)

    def provide(self, claim: Json, name: str, storage_class: Json, node: str) -> None:
        path = self.roots[node] / name
        path.mkdir(exist_ok=True)
        path.chmod(0o777)  # kubelet gives a hostPath to no group, and pods run as users of their own
        self.api.create(core("persistentvolumes"), volume(claim, name, storage_class, node))
        print(f"{claim['metadata']['namespace']}/{claim['metadata']['name']}: {name}", flush=True)

    def release(self, name: str, volume: Json) -> None:
        if volume["status"].get("phase") == "Released" and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
            self.api.delete(core("persistentvolumes", name=name))
            for root in self.roots.values():
                shutil.rmtree(root / name, ignore_errors=True)
            print(f"{name} is deleted", flush=True)


def volume(claim: Json, name: str, storage_class: Json, node: str) -> Json:
    """The PersistentVolume for a claim: a directory that exists on one node only."""
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "hostPath": {"path": str(VOLUMES / name), "type": "Directory"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim["metadata"]["namespace"],
                "name": claim["metadata"]["name"],
                "uid": claim["metadata"]["uid"],
            },
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
        },
    }


def main() -> None:
    state = Path(sys.argv[1])
    roots = {node.name: node.directory(state) / "volumes" for node in read_nodes(state)}
    volumes = Volumes(Api(Path(sys.argv[2])), roots)
    while True:
        try:
            volumes.look()
        except (ApiError, OSError) as error:
            print(error, flush=True)
        time.sleep(_INTERVAL)


if __name__ == "__main__":
    main()
