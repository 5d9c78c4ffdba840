"""The stacks that tests look at: the three committed files, and each toggle laid over one of them.

Everything here is made once per run and shared: a recording is data, nobody may change it.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from stack.load import CONFIG_KEY, parse, stack_file
from stack.plan import StackPlan, make_plan
from stack.record import record
from stack.resources import Recording
from stack.settings import StackSettings

STACKS = ("small", "medium", "large")

_SECURE = {"secure": "v1:AAAA:BBBB"}
_S3_USERS = (
    "synapse-media",
    "li-media-reader",
    "postgres-backups",
    "postgres-li-backups",
    "loki",
    "media-backup",
    "media-backup-reader",
)

TOGGLES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "federation": ("small", {"federation": {"enabled": True}}),
    "federation-large": ("large", {"federation": {"enabled": True, "allow": ["matrix.example.org"]}}),
    "unprotected": ("small", {"safety": {"protect": False}}),
    "registry-mirror": (
        "small",
        {
            "images": {"registry": "registry.intern:5000/mirror", "pull_secrets": ["mirror-login"]},
            "operators": {"chart_mirror": "oci://registry.intern:5000/charts"},
        },
    ),
    "external-s3": (
        "small",
        {
            "minio": {
                "backend": "external",
                "external": {
                    "endpoint": "https://s3.intern:9000",
                    "cidrs": ["192.0.2.0/28"],
                    "users": {
                        user: {"bucket": f"matrix-{user}", "access_key": f"key-{user}", "secret_key": _SECURE}
                        for user in _S3_USERS
                    },
                },
            }
        },
    ),
    "ingress": (
        "small",
        {"edge": {"kind": "ingress", "ingress_class_name": "nginx", "proxy_namespace": "ingress"}},
    ),
    "other-gateway": (
        "small",
        {"edge": {"controller": "other", "gateway_class_name": "cilium", "proxy_namespace": "kube-system"}},
    ),
    "acme": (
        "small",
        {
            "edge": {
                "tls": {"source": "acme", "acme": {"email": "admin@example.org"}},
                "metallb": {"enabled": False, "address_ranges": []},
            }
        },
    ),
    "no-backups": ("small", {"postgres": {"backups": {"enabled": False}}}),
    "pooler": (
        "small",
        {
            "postgres": {
                "pooler": {"enabled": True},
                "max_connections": 450,
                "resources": {"cpu": "1500m", "memory": "9Gi"},
            }
        },
    ),
    "restored": (
        "small",
        {"postgres": {"restore": {"backup_server_name": "postgres-main", "target_time": "2026-11-21T09:30:00+00:00"}}},
    ),
    "open-to-the-internet": (
        "small",
        {"federation": {"enabled": True}, "synapse": {"internet": True, "url_previews": {"enabled": True}}},
    ),
    "counts-by-hand": (
        "small",
        {
            "synapse": {
                "workers": {
                    "synchrotron": {"replicas": 4, "autoscale": {"enabled": False}},
                    "generic": {"replicas": 2, "autoscale": {"enabled": False}},
                }
            }
        },
    ),
    "operators-there": (
        "small",
        {
            "operators": {
                name: {"install": False}
                for name in ("cert_manager", "cloudnative_pg", "barman_cloud_plugin", "metallb", "envoy_gateway")
            }
        },
    ),
    "no-dns": (
        "small",
        {
            "namespace": "chat",
            "cluster_domain": "k8s.intern",
            "host_aliases": [{"ip": "192.0.2.7", "hostnames": ["chat.z3r0d3v.com"]}],
        },
    ),
    "upload-1g": ("small", {"synapse": {"max_upload_size": "1G", "log_level": "DEBUG"}}),
}
"""Toggle -> (stack that it is laid over, what it changes below matrix:stack)."""

VARIANTS = (*STACKS, *TOGGLES)


def merged(base: Any, overrides: Any) -> Any:
    """`base` with `overrides` laid over it, key by key; lists and scalars are replaced."""
    if isinstance(base, Mapping) and isinstance(overrides, Mapping):
        keys = {**base, **overrides}
        return {key: merged(base.get(key), overrides[key]) if key in overrides else base[key] for key in keys}
    return overrides


@cache
def committed(stack: str) -> Mapping[str, Any]:
    """What the committed file says below matrix:stack."""
    document: Mapping[str, Any] = yaml.safe_load(stack_file(stack).read_text())["config"][CONFIG_KEY]
    return document


def edited(stack: str, overrides: Mapping[str, Any]) -> StackSettings:
    """Settings of a committed stack with an edit."""
    return parse(merged(committed(stack), overrides), f"Pulumi.{stack}.yaml")


def stack_of(variant: str) -> str:
    """Which committed stack a variant belongs to."""
    return TOGGLES[variant][0] if variant in TOGGLES else variant


@cache
def settings_of(variant: str) -> StackSettings:
    return edited(stack_of(variant), TOGGLES[variant][1] if variant in TOGGLES else {})


@cache
def plan_of(variant: str) -> StackPlan:
    return make_plan(settings_of(variant), stack_of(variant))


@cache
def recording_of(variant: str) -> Recording:
    return record(plan_of(variant))
