"""Whatever an operator may write: it is planned, or refused in words; and more users never get less."""

import re
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.synapse.settings import WorkerSettings
from kube.errors import StackError
from kube.pod import Workload
from stack.plan import StackPlan, make_plan
from tests.support.variants import committed, edited, merged

_BOUNDED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)

_sizes = st.sampled_from(["64Mi", "256Mi", "512Mi", "1Gi", "1536Mi", "4Gi", "16Gi", "64Gi", "1Ti"])
_cpus = st.sampled_from(["1m", "50m", "250m", "1", "1.5", "4", "16", "64"])
_resources = st.fixed_dictionaries(
    {"cpu": _cpus, "memory": _sizes}, optional={"memory_limit": _sizes, "cpu_limit": _cpus}
)
_counts = st.integers(min_value=1, max_value=40)
_process = st.fixed_dictionaries(
    {},
    optional={
        "replicas": _counts,
        "resources": _resources,
        "cp_max": st.integers(min_value=2, max_value=100),
        "autoscale": st.fixed_dictionaries(
            {"enabled": st.booleans()}, optional={"max": _counts, "cpu_percent": st.integers(10, 95)}
        ),
    },
)
_processes = list(WorkerSettings.model_fields)
_pool = st.fixed_dictionaries({"count": st.integers(1, 60), "cpu": st.integers(1, 128), "memory": _sizes})

_edits = st.fixed_dictionaries(
    {},
    optional={
        "concurrent_users": st.integers(1, 20_000),
        "federation": st.fixed_dictionaries({"enabled": st.booleans()}),
        "safety": st.fixed_dictionaries({"protect": st.booleans()}),
        "node_pools": st.dictionaries(
            st.sampled_from(["application", "database", "storage", "calls"]), _pool, max_size=3
        ),
        "redis": st.fixed_dictionaries(
            {}, optional={"synapse": st.fixed_dictionaries({"replicas": st.sampled_from([3, 5, 7])})}
        ),
        "postgres": st.fixed_dictionaries(
            {},
            optional={
                "instances": st.integers(1, 9),
                "resources": _resources,
                "storage": _sizes,
                "wal_storage": _sizes,
                "max_connections": st.integers(20, 5_000),
            },
        ),
        "minio": st.fixed_dictionaries(
            {}, optional={"pools": st.integers(1, 6), "drive_size": _sizes, "resources": _resources}
        ),
        "synapse": st.fixed_dictionaries(
            {},
            optional={
                "max_upload_size": st.sampled_from(["1K", "50M", "100M", "1G", "2047M"]),
                "presence": st.sampled_from(["auto", "on", "off"]),
                "workers": st.dictionaries(st.sampled_from(_processes), _process, max_size=4),
            },
        ),
        "cluster_domain": st.sampled_from(["cluster.local", "k8s.intern"]),
        "namespace": st.from_regex(re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?"), fullmatch=True),
    },
)


@_BOUNDED
@given(stack=st.sampled_from(["small", "large"]), edit=_edits)
def test_planning_never_fails_but_in_words(stack: str, edit: Mapping[str, Any]) -> None:
    try:
        plan = make_plan(edited(stack, edit), stack)
    except StackError as error:
        assert error.problems, "a refusal names its reasons"
        for problem in error.problems:
            assert problem.rule and "Traceback" not in problem.rule
            root = re.split(r"[.\[]", problem.path)[0]
            assert not root or root in committed(stack) or root in type(edited(stack, {})).model_fields, (
                f"{problem.path!r} is no key of the stack file"
            )
        return
    assert plan.workloads, "what is planned is a platform"


@_BOUNDED
@given(edit=_edits)
def test_what_is_planned_can_be_planned_again_alike(edit: Mapping[str, Any]) -> None:
    try:
        one = make_plan(edited("small", edit), "small")
    except StackError as error:
        try:
            make_plan(edited("small", edit), "small")
        except StackError as again:
            assert again.problems == error.problems
            return
        raise AssertionError("refused once, planned then") from error
    assert one == make_plan(edited("small", edit), "small")


# Machines that anything fits, so that only the bands decide.
_ROOM = {
    "node_pools": {
        name: {"role": name, "count": 80, "cpu": 128, "memory": "1Ti", "disk": "100Ti"}
        for name in ("control-plane", "application", "database", "storage", "calls")
    }
}


def _plan_for(users: int) -> StackPlan:
    return make_plan(edited("small", merged(_ROOM, {"concurrent_users": users})), "small")


def _demand(work: Workload) -> Mapping[str, int]:
    return {
        "replicas": work.replicas,
        "replicas at most": work.peak_replicas,
        "CPU": work.cpu,
        "memory": work.memory,
        "memory limit": work.resources.memory_limit,
    }


@_BOUNDED
@given(few=st.integers(1, 20_000), many=st.integers(1, 20_000))
def test_more_users_never_get_less(few: int, many: int) -> None:
    few, many = sorted((few, many))
    small = {(w.namespace, w.name): w for w in _plan_for(few).workloads}
    large = {(w.namespace, w.name): w for w in _plan_for(many).workloads}
    assert small.keys() <= large.keys(), f"{few} users have what {many} have not: {small.keys() - large.keys()}"
    for key, work in small.items():
        for what, number in _demand(work).items():
            assert _demand(large[key])[what] >= number, f"{key[1]}: {many} users get less {what} than {few}"


@_BOUNDED
@given(few=st.integers(1, 20_000), many=st.integers(1, 20_000))
def test_more_users_never_get_fewer_connections_or_a_smaller_store(few: int, many: int) -> None:
    few, many = sorted((few, many))
    one, other = _plan_for(few), _plan_for(many)
    assert one.postgres.max_connections <= other.postgres.max_connections
    assert one.minio.tenant and other.minio.tenant
    assert one.minio.tenant.usable <= other.minio.tenant.usable
