"""PostgreSQL's custom resources against the definitions of CloudNativePG and its plugin, in every variant."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from components.postgres.manifests import cluster_spec, object_store_spec, pooler_spec, scheduled_backup_spec
from components.postgres.plan import PostgresPlan
from sandbox import toolchain
from tests.postgres.examples import ORIGIN, TRANSACTION, plan, platform

pytestmark = pytest.mark.tools

KINDS = {
    "Cluster": "postgresql.cnpg.io_clusters.yaml",
    "ScheduledBackup": "postgresql.cnpg.io_scheduledbackups.yaml",
    "Pooler": "postgresql.cnpg.io_poolers.yaml",
    "ObjectStore": "barmancloud.cnpg.io_objectstores.yaml",
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


def _strict(schema: Any) -> Any:
    """The same schema where an unknown field is an error: the API server drops it without a word."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _strict(value) for key, value in schema.items() if key != "format"}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not open_ended:
        result["additionalProperties"] = False
    return result


@cache
def _validator(kind: str) -> Draft202012Validator:
    toolchain.ensure(["crds"])
    (path,) = toolchain.directory("crds").rglob(KINDS[kind])
    (version,) = yaml.load(path.read_text(), yaml.CSafeLoader)["spec"]["versions"]
    return Draft202012Validator(_strict(version["schema"]["openAPIV3Schema"]["properties"]["spec"]))


def _specs(made: PostgresPlan) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "Cluster", cluster_spec(made)
    if made.uses_store:
        yield "ObjectStore", object_store_spec(made)
    if made.backups.enabled:
        yield "ScheduledBackup", scheduled_backup_spec(made)
    if made.pooler is not None:
        yield "Pooler", pooler_spec(made, made.pooler)


def _errors(kind: str, spec: dict[str, Any]) -> list[str]:
    return [f"{'.'.join(map(str, e.path))}: {e.message}" for e in _validator(kind).iter_errors(spec)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_one_that_its_controller_knows(variant: str) -> None:
    for kind, spec in _specs(VARIANTS[variant]):
        errors = _errors(kind, spec)
        assert not errors, f"{kind}: {errors}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_definitions_would_notice_a_field_that_does_not_exist(kind: str) -> None:
    spec = dict(next(s for v in VARIANTS.values() for k, s in _specs(v) if k == kind))
    assert _errors(kind, {**spec, "instancez": 3}), "a misspelled field must not pass"
