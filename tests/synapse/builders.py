"""Small plans of Synapse for tests: a platform of any size, and neighbours with default settings."""

from typing import Any

from components.minio import plan as minio
from components.minio.settings import MinioSettings
from components.postgres import plan as postgres
from components.postgres.settings import PostgresSettings
from components.redis import plan as redis
from components.redis.settings import RedisInstanceSettings
from components.synapse.plan import SynapsePlan, make_plan
from components.synapse.processes import plan_processes
from components.synapse.settings import SynapseSettings
from kube.context import Platform, Safety, StorageClasses
from kube.images import Images
from stack.images import read_lock

SMALL, MEDIUM, LARGE = 1_000, 5_000, 20_000


def platform(users: int = SMALL, *, federation: bool = False) -> Platform:
    return Platform(
        stack="test",
        server_name="chat.example.org",
        concurrent_users=users,
        federation=federation,
        namespace="matrix",
        cluster_domain="cluster.local",
        images=Images(locked=read_lock()),
        storage=StorageClasses(general="general", database="database", object="object"),
        safety=Safety(protect=True),
    )


def plan(
    users: int = SMALL,
    *,
    federation: bool = False,
    federation_allow: tuple[str, ...] = (),
    **settings: Any,
) -> SynapsePlan:
    """A plan of `users` concurrent users; `settings` as an operator writes them below `synapse`."""
    frame = platform(users, federation=federation)
    parsed = SynapseSettings.model_validate(settings)
    processes = plan_processes(parsed, frame)
    store = minio.make_plan(MinioSettings(), frame)
    return make_plan(
        parsed,
        frame,
        processes,
        database=postgres.make_plan(
            PostgresSettings(),
            frame,
            connections=processes.connections,
            store=store,
            operator_namespace="cnpg-system",
        ),
        redis=redis.make_plan("synapse", RedisInstanceSettings(), frame, eviction="allkeys-lru"),
        media=store,
        federation_allow=federation_allow,
    )
