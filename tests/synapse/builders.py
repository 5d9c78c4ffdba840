"""Small plans of Synapse for tests: a platform of any size, and neighbours that are only addresses."""

from dataclasses import dataclass
from typing import Any

from components.minio import plan as minio
from components.minio.settings import MinioSettings
from components.redis import plan as redis
from components.redis.settings import RedisInstanceSettings
from components.synapse.plan import SynapsePlan, make_plan
from components.synapse.processes import plan_processes
from components.synapse.settings import SynapseSettings
from kube.context import Platform, Safety, StorageClasses
from kube.flows import Flow, Pods, Port
from kube.images import Images
from kube.secrets import Random, SecretObject
from stack.images import read_lock

SMALL, MEDIUM, LARGE = 1_000, 5_000, 20_000


@dataclass(frozen=True, kw_only=True)
class FakeDatabase:
    """A database at an address."""

    host: str = "postgres-main-rw.matrix.svc.cluster.local"
    port: int = 5432
    database: str = "synapse"
    owner: str = "synapse"
    ca_secret: str = "postgres-main-ca"

    @property
    def credentials(self) -> SecretObject:
        return SecretObject(
            name="postgres-main-synapse",
            namespace="matrix",
            entries={"username": "synapse", "password": Random(id="postgres-main-synapse")},
        )

    def client(self, source: Pods, why: str) -> Flow:
        target = Pods.of("postgres-main", "matrix", {"cnpg.io/cluster": "postgres-main"})
        return Flow(source=source, target=target, ports=(Port(self.port),), why=why)


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
    return make_plan(
        parsed,
        frame,
        processes,
        database=FakeDatabase(),
        redis=redis.make_plan("synapse", RedisInstanceSettings(), frame, eviction="allkeys-lru"),
        media=minio.make_plan(MinioSettings(), frame),
        federation_allow=federation_allow,
    )
