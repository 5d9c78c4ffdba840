"""Rendered objects onto a real cluster, and waiting for them with everything that a person would look at next."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sandbox import report
from sandbox.api import Api, ApiError, Json, core
from stack.load import read_stack_file
from stack.record import record_settings
from stack.resources import Resource

ROOT = Path(__file__).resolve().parents[2]


def rendered(stack: str, name: str) -> list[Resource]:
    """The objects of a committed stack that belong to what is called `name` (by its label `name`)."""
    recording = record_settings(read_stack_file(ROOT / f"Pulumi.{stack}.yaml"), stack)
    prefixes = (name, f"{name}-")
    found = [
        r
        for r in recording.objects
        if str(r.inputs["metadata"].get("labels", {}).get("app.kubernetes.io/name", "")).startswith(prefixes)
        or (r.kind in ("ConfigMap", "Secret") and r.object_name.startswith(prefixes))
    ]
    assert found, f"stack {stack} has nothing called {name}"
    return found


def collection(api: Api, api_version: str, kind: str, namespace: str) -> str:
    """Path of the collection of a kind, as the server's discovery tells it."""
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    plural = next(
        r["name"] for r in api.request("GET", root)["resources"] if r["kind"] == kind and "/" not in r["name"]
    )
    return f"{root}/namespaces/{namespace}/{plural}"


def deploy(api: Api, resources: Iterable[Resource]) -> None:
    for resource in resources:
        body = dict(resource.inputs)
        path = collection(api, body["apiVersion"], resource.kind, resource.namespace)
        api.apply(f"{path}/{resource.object_name}", body)


def pods(api: Api, namespace: str, selector: str) -> list[Json]:
    return api.list(core("pods", namespace), labelSelector=selector)


def is_ready(pod: Json) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def wait(api: Api, what: str, true: Callable[[], bool], seconds: float) -> float:
    """Seconds until it is true; when it does not come, what the pods of the cluster say."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"{what}: not within {seconds:.0f} s\n{report.diagnosis(api)}\n{logs(api)}")
        time.sleep(0.2)
    return time.monotonic() - began


def logs(api: Api, lines: int = 20) -> str:
    """The last lines of every container of pods that are not ready."""
    parts = []
    for pod in api.list("/api/v1/pods"):
        if is_ready(pod):
            continue
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        for container in pod["spec"]["containers"]:
            path = f"{core('pods', namespace, name)}/log?container={container['name']}&tailLines={lines}"
            try:
                text = api.request("GET", path)
            except ApiError as error:
                text = str(error)
            parts.append(f"--- {namespace}/{name} {container['name']}\n{text}")
    return "\n".join(parts)
