"""Object storage plans for tests, from what a person would write in the stack file."""

from typing import Any

from components.minio.plan import MinioPlan, TenantPlan, make_plan
from components.minio.settings import MinioSettings
from kube.context import Platform, Safety, StorageClasses
from kube.images import Images
from stack import images


def platform(
    *, users: int = 1_000, protect: bool = True, confirmed: frozenset[str] = frozenset(), **overrides: str
) -> Platform:
    """`overrides`: images by name."""
    return Platform(
        stack="test",
        server_name="chat.z3r0d3v.com",
        concurrent_users=users,
        federation=False,
        namespace="matrix",
        cluster_domain="cluster.local",
        images=Images(locked=images.read_lock(), overrides=overrides),
        storage=StorageClasses(general="general", database="database-nvme", object="object-disk"),
        safety=Safety(protect=protect, confirmed=confirmed),
    )


EXTERNAL = {
    "endpoint": "https://s3.z3r0d3v.com:9000",
    "cidrs": ["203.0.113.7/32"],
    "users": {
        name: {"bucket": f"site-{name}", "access_key": f"key-{name}", "secret_key": {"secure": "v1:abc"}}
        for name in (
            "synapse-media",
            "li-media-reader",
            "postgres-backups",
            "postgres-li-backups",
            "loki",
            "media-backup",
            "media-backup-reader",
        )
    },
}


def plan(frame: Platform | None = None, **settings: Any) -> MinioPlan:
    return make_plan(MinioSettings.model_validate(settings), frame or platform())


def tenant(frame: Platform | None = None, **settings: Any) -> TenantPlan:
    made = plan(frame, **settings).tenant
    assert made is not None, "the internal backend has servers"
    return made


def external(**changes: Any) -> MinioPlan:
    return plan(backend="external", external={**EXTERNAL, **changes})
