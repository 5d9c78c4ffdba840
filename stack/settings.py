"""The stack file, typed: everything that an operator may write below `matrix:stack`."""

from typing import Literal

from pydantic import Field

from components.edge.settings import EdgeSettings
from components.minio.settings import MinioSettings
from components.network.settings import NetworkSettings
from components.operators.settings import OperatorsSettings
from components.postgres.settings import PostgresSettings
from components.redis.settings import RedisSettings
from components.synapse.settings import SynapseSettings
from kube.settings import Host, Settings
from stack.nodes import NodePool


class StorageClassSettings(Settings):
    """Names of storage classes that exist in the cluster, by purpose."""

    general: str = Field(min_length=1, description="For small volumes (Redis, caches). Any reliable class.")
    database: str = Field(min_length=1, description="For PostgreSQL data and WAL. Fast local NVMe where possible.")
    object: str = Field(min_length=1, description="For object storage drives. Local disks: erasure coding replicates.")


class ImageSettings(Settings):
    """Where images come from."""

    registry: str = Field(
        default="",
        description="Registry (host[:port][/path]) that replaces the host of every image; for air gaps. Empty: none.",
    )
    pull_secrets: tuple[str, ...] = Field(
        default=(), description="Names of image pull Secrets that exist in our namespaces."
    )
    overrides: dict[str, str] = Field(
        default_factory=dict, description="Full references by name of apps/images.lock; win over everything."
    )


class HostAlias(Settings):
    """One line of /etc/hosts in every pod, for intranets without DNS."""

    ip: str = Field(description="Address that the names resolve to.")
    hostnames: tuple[Host, ...] = Field(min_length=1, description="Names for that address.")


class FederationSettings(Settings):
    """Talking to other homeservers. One switch: listeners, routes, well-known, senders, policies, port 8448."""

    enabled: bool = Field(
        default=False, description="Off: nothing federates, in either direction. Guarded: see safety.confirm."
    )
    allow: tuple[Host, ...] = Field(
        default=(), description="Only these servers, when not empty. Needs federation.enabled."
    )


class SafetySettings(Settings):
    """What stands between an edit and data."""

    protect: bool = Field(
        default=True,
        description="Data-bearing resources cannot be deleted or replaced, and stay when the stack is destroyed.",
    )
    confirm: tuple[Literal["server_name", "signing_key", "database_name", "federation"], ...] = Field(
        default=(),
        description="Dangerous edits allowed in this run. Remove the entry afterwards.",
    )


class StackSettings(Settings):
    """One complete platform."""

    server_name: Host = Field(
        description="Matrix server name, the part behind the colon of every user id. Never changes."
    )
    concurrent_users: int = Field(
        ge=1, le=20_000, description="People online at the same time; decides the default number of Synapse processes."
    )
    cluster_domain: str = Field(default="cluster.local", description="DNS domain of the Kubernetes cluster.")
    namespace: str = Field(
        default="matrix", pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", description="Namespace of the main systems."
    )
    node_pools: dict[str, NodePool] = Field(min_length=1, description="The machines, pool by pool.")
    storage_classes: StorageClassSettings = Field(description="Storage classes by purpose.")
    images: ImageSettings = Field(default_factory=ImageSettings, description="Registry mirror and overrides.")
    host_aliases: tuple[HostAlias, ...] = Field(default=(), description="Names for intranets without DNS.")
    federation: FederationSettings = Field(default_factory=FederationSettings, description="Talking to other servers.")
    safety: SafetySettings = Field(default_factory=SafetySettings, description="Protection of data.")
    network: NetworkSettings = Field(
        default_factory=NetworkSettings, description="What network policies must know of the cluster."
    )
    operators: OperatorsSettings = Field(
        default_factory=OperatorsSettings, description="Operators of others, installed by their Helm charts."
    )
    edge: EdgeSettings = Field(
        default_factory=EdgeSettings, description="The way in: addresses, certificates, public hosts."
    )
    postgres: PostgresSettings = Field(
        default_factory=PostgresSettings, description="Synapse's database: replicated, backed up, restorable."
    )
    minio: MinioSettings = Field(
        default_factory=MinioSettings, description="Object storage: media, database backups, logs."
    )
    redis: RedisSettings = Field(default_factory=RedisSettings, description="Redis with Sentinel, twice.")
    synapse: SynapseSettings = Field(default_factory=SynapseSettings, description="The homeserver.")
