"""The data systems as a person meets them: the three stack files, and what is said about a wrong one."""

from typing import Any

import pytest
import yaml

from kube.errors import StackError
from stack.load import parse, read_stack_file, stack_file
from stack.plan import StackPlan, make_plan


def raw(stack: str = "small", **sections: Any) -> Any:
    document = yaml.safe_load(stack_file(stack).read_text())["config"]["matrix:stack"]
    return {**document, **sections}


def planned(stack: str = "small", **sections: Any) -> StackPlan:
    return make_plan(parse(raw(stack, **sections), f"Pulumi.{stack}.yaml"), stack)


def lines(**sections: Any) -> list[str]:
    with pytest.raises(StackError) as error:
        planned(**sections)
    return error.value.lines()


@pytest.mark.parametrize(
    ("stack", "instances", "pools", "usable_ti"),
    [("small", 3, 1, 1.56), ("medium", 3, 2, 6.25), ("large", 5, 3, 18.75)],
)
def test_the_committed_stacks_plan_and_fit(stack: str, instances: int, pools: int, usable_ti: float) -> None:
    plan = make_plan(read_stack_file(stack_file(stack)), stack)
    assert plan.postgres.instances == instances
    assert plan.minio.tenant is not None and len(plan.minio.tenant.pools) == pools
    assert round(plan.minio.tenant.usable / 2**40, 2) == usable_ti
    assert plan.postgres.connections == plan.processes.connections
    assert plan.postgres.connections + plan.postgres.reserved_connections <= plan.postgres.max_connections


def test_the_same_objects_exist_at_every_scale() -> None:
    small, large = planned("small"), planned("large")
    assert set(small.minio.secrets) == set(large.minio.secrets)
    assert {w.name for w in small.postgres.workloads} == {w.name for w in large.postgres.workloads}


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"postgres": {"instances": 4}}, "Pulumi.small.yaml: matrix:stack.postgres.instances: must be odd"),
        ({"postgres": {"instance": 3}}, "matrix:stack.postgres.instance: unknown key; did you mean 'instances'?"),
        ({"postgres": {"max_connections": 240}}, "matrix:stack.postgres.max_connections: connection sum too large"),
        ({"postgres": {"max_connections": 900}}, "connection sum too large for the memory: 900 connections × 10Mi"),
        ({"postgres": {"instances": 5}}, "postgres-main wants 5 different nodes of role database, 3 exist"),
        ({"minio": {"pools": 2, "resources": {"cpu": "2", "memory": "6Gi"}}}, "matrix:stack.node_pools.storage: lacks"),
        ({"minio": {"parity": 6}}, "matrix:stack.minio.parity: must be <= 4 (got 6)"),
        ({"minio": {"drive_size": "800Gi"}}, "matrix:stack.minio.drive_size: 2 drives of 800Gi on each server"),
        ({"storage_classes": {"general": "general", "object": "o"}}, "storage_classes.database: is missing"),
    ],
)
def test_a_wrong_stack_file_is_told_where_and_why(sections: dict[str, Any], line: str) -> None:
    found = lines(**sections)
    assert any(line in text for text in found), found


def test_a_key_of_an_external_store_in_clear_is_never_repeated() -> None:
    users = {"loki": {"bucket": "loki", "access_key": "k", "secret_key": "hunter2-hunter2"}}
    external = {"endpoint": "https://s3.z3r0d3v.com", "users": users}
    found = lines(minio={"backend": "external", "external": external})
    assert any("minio.external.users.loki.secret_key: must not stand here in clear" in text for text in found), found
    assert not any("hunter2" in text for text in found), "the message is in terminals and CI logs"
