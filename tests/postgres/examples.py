"""PostgreSQL plans for tests, from what a person would write in the stack file."""

from typing import Any

from components.postgres.plan import PostgresPlan, make_plan
from components.postgres.settings import SYNAPSE_SESSION, PostgresSettings
from kube.context import Platform
from tests.minio import examples as minio
from tests.minio.examples import platform

__all__ = ["ORIGIN", "TRANSACTION", "plan", "platform"]

ORIGIN = {"backup_server_name": "postgres-main", "target_time": "2026-11-21T09:30:00+00:00"}
TRANSACTION = {"enabled": True, "mode": "transaction", "role_settings": SYNAPSE_SESSION}


def plan(
    frame: Platform | None = None, *, connections: int = 200, external: bool = False, **settings: Any
) -> PostgresPlan:
    frame = frame or platform()
    return make_plan(
        PostgresSettings.model_validate(settings),
        frame,
        connections=connections,
        store=minio.external() if external else minio.plan(frame),
        operator_namespace="cnpg-system",
    )
