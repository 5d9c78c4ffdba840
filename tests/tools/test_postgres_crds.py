"""PostgreSQL's custom resources against the definitions of CloudNativePG and its plugin, in every variant."""

from collections.abc import Iterator
from typing import Any

import pytest

from components.postgres.manifests import cluster_spec, object_store_spec, pooler_spec, scheduled_backup_spec
from components.postgres.plan import PostgresPlan
from tests.postgres.examples import ORIGIN, TRANSACTION, plan, platform
from tests.support import crds

pytestmark = pytest.mark.tools

GROUPS = {
    "Cluster": "postgresql.cnpg.io/v1",
    "ScheduledBackup": "postgresql.cnpg.io/v1",
    "Pooler": "postgresql.cnpg.io/v1",
    "ObjectStore": "barmancloud.cnpg.io/v1",
}
VARIANTS: dict[str, PostgresPlan] = {
    "default": plan(),
    "large": plan(platform(users=20_000)),
    "no backups": plan(backups={"enabled": False}),
    "external store": plan(external=True),
    "restored": plan(restore=ORIGIN),
    "pooler": plan(pooler={"enabled": True}),
    "transactions": plan(pooler=TRANSACTION),
    "small sizes": plan(storage="2Gi", wal_storage="2Gi", resources={"cpu": "100m", "memory": "512Mi"}),
}


def _specs(made: PostgresPlan) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "Cluster", cluster_spec(made)
    if made.uses_store:
        yield "ObjectStore", object_store_spec(made)
    if made.backups.enabled:
        yield "ScheduledBackup", scheduled_backup_spec(made)
    if made.pooler is not None:
        yield "Pooler", pooler_spec(made, made.pooler)


def _errors(kind: str, spec: dict[str, Any]) -> list[str]:
    return crds.errors({"apiVersion": GROUPS[kind], "kind": kind, "metadata": {"name": "x"}, "spec": spec})


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_one_that_its_controller_knows(variant: str) -> None:
    for kind, spec in _specs(VARIANTS[variant]):
        errors = _errors(kind, spec)
        assert not errors, f"{kind}: {errors}"


@pytest.mark.parametrize("kind", GROUPS)
def test_the_definitions_would_notice_a_field_that_does_not_exist(kind: str) -> None:
    spec = dict(next(s for v in VARIANTS.values() for k, s in _specs(v) if k == kind))
    assert _errors(kind, {**spec, "instancez": 3}), "a misspelled field must not pass"
