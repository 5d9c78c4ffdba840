"""Names, labels, hashes, DNS: free functions of the plan, known before anything exists."""

import hashlib
import json
from collections.abc import Mapping

PART_OF = "synapse-platform"
POOL_LABEL = "synapse-platform/pool"
"""Node label (and taint key) that says which pool a node belongs to; its value is the pool's role."""

MAX_NAME = 63  # RFC 1123 label: Service names, StatefulSet pod names and label values end here


class NameTooLongError(ValueError):
    """A name does not fit its budget and may not be clipped (identity would be lost)."""


def sha8(content: str | bytes) -> str:
    """Eight hex digits that change when the content changes."""
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()[:8]


def content_hash(data: Mapping[str, str]) -> str:
    """Hash of a set of files: names and contents, independent of their order."""
    return sha8(json.dumps(sorted(data.items())))


def check_name(name: str, *, reserve: int = 0) -> str:
    """The name itself, or NameTooLongError. `reserve`: characters that Kubernetes will append (`-12`, a hash)."""
    if len(name) + reserve > MAX_NAME:
        raise NameTooLongError(f"{name!r} has {len(name)} characters; {MAX_NAME - reserve} fit")
    return name


def service_host(service: str, namespace: str, cluster_domain: str) -> str:
    """Fully qualified DNS name of a Service. The trailing dot is left out: some clients reject it."""
    return f"{service}.{namespace}.svc.{cluster_domain}"


def pod_host(statefulset: str, ordinal: int, headless: str, namespace: str, cluster_domain: str) -> str:
    """Stable DNS name of one StatefulSet pod behind its headless Service."""
    return f"{statefulset}-{ordinal}.{headless}.{namespace}.svc.{cluster_domain}"


def selector(name: str, component: str) -> dict[str, str]:
    """Labels that select the pods of one workload. They never change: selectors are immutable in Kubernetes."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/component": component}


def labels(name: str, component: str, version: str | None = None) -> dict[str, str]:
    """The full recommended label set. `version` labels objects only, never pod templates (it would restart pods)."""
    result = {
        **selector(name, component),
        "app.kubernetes.io/part-of": PART_OF,
        "app.kubernetes.io/managed-by": "pulumi",
    }
    return {**result, "app.kubernetes.io/version": version} if version else result
