"""One package per system. Importing a system's pure modules loads no Pulumi: components are exported lazily."""

from typing import TYPE_CHECKING, Any

_EXPORTS = {
    "Edge": "components.edge.component",
    "MinioTenant": "components.minio.component",
    "Network": "components.network.component",
    "Operators": "components.operators.component",
    "PostgresHA": "components.postgres.component",
    "RedisSentinel": "components.redis.component",
    "SynapseCluster": "components.synapse.component",
}

if TYPE_CHECKING:
    from components.edge.component import Edge as Edge
    from components.minio.component import MinioTenant as MinioTenant
    from components.network.component import Network as Network
    from components.operators.component import Operators as Operators
    from components.postgres.component import PostgresHA as PostgresHA
    from components.redis.component import RedisSentinel as RedisSentinel
    from components.synapse.component import SynapseCluster as SynapseCluster


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(_EXPORTS)
