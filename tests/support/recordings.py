"""Small recordings made by hand, for tests of what reads recordings."""

from typing import Any

from stack.resources import Recording, Resource


def resource(kind: str, name: str = "x", *, api: str = "v1", namespace: str = "matrix", **options: Any) -> Resource:
    """A Kubernetes object with a body of a few fields. `inputs` are laid over apiVersion, kind and metadata."""
    body = {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}}
    given: dict[str, Any] = options.pop("inputs", {})
    logical = options.pop("logical", name)
    return Resource(
        urn=f"urn:{kind}:{logical}",
        type=f"kubernetes:{'core/v1' if api == 'v1' else api}:{kind}",
        name=logical,
        parent="",
        custom=True,
        inputs={**body, **given},
        **options,
    )


def pulumi(token: str, name: str = "x", **options: Any) -> Resource:
    """A resource that is no object of Kubernetes."""
    return Resource(urn=f"urn:{token}:{name}", type=token, name=name, parent="", custom=True, **options)


def recording(*resources: Resource, **sentinels: str) -> Recording:
    return Recording(stack="test", resources=resources, outputs={}, sentinels=sentinels)


def workload(kind: str = "StatefulSet", name: str = "x", *, image: str = "a:1", **more: Any) -> dict[str, Any]:
    """Inputs of a workload with one container; `more` are further fields of its spec."""
    container = {"name": "main", "image": image, "command": ["run"]}
    return {
        "spec": {
            "serviceName": name,
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
            **more,
        }
    }
