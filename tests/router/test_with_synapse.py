"""The router and the homeserver of the committed stacks, laid beside each other."""

import pytest

from components.router.plan import RouterPlan
from components.router.pools import FEDERATION_POOLS, POOLS, Pool
from components.synapse.files import resources
from components.synapse.processes import Process
from stack.plan import StackPlan
from tests.support.variants import plan_of


@pytest.fixture
def homeserver(variant: str) -> StackPlan:
    return plan_of(variant)


def processes(plan: StackPlan) -> dict[str, Process]:
    return {process.name: process for process in plan.synapse.processes}


def behind(router: RouterPlan, pool: Pool) -> str:
    """Name of the StatefulSet behind a pool."""
    return next(p for p in router.pools if p.pool is pool).servers[0].name.rpartition("-")[0]


def test_every_pool_exists_in_every_stack(homeserver: StackPlan) -> None:
    router = homeserver.synapse.router
    expected = set(Pool) if router.federation else set(Pool) - FEDERATION_POOLS
    assert {pool.pool for pool in router.pools} == expected


def test_processes_behind_a_pool_have_the_resource_that_it_needs(homeserver: StackPlan) -> None:
    """Or they would answer its requests with 404."""
    router = homeserver.synapse.router
    for pool in router.pools:
        process = processes(homeserver)[behind(router, pool.pool)]
        served = resources(process, federation=router.federation)
        assert POOLS[pool.pool].resource.value in served, f"{pool.pool}: {process.name} serves {served}"


def test_a_pool_has_a_slot_for_every_pod_that_can_exist(homeserver: StackPlan) -> None:
    router = homeserver.synapse.router
    for pool in router.pools:
        process = processes(homeserver)[behind(router, pool.pool)]
        assert len(pool.servers) >= process.maximum, pool.pool
        if process.traits.scales:
            assert len(pool.servers) > process.maximum, f"{pool.pool} has no slot to spare"


def test_stream_writers_are_never_behind_a_pool_of_generic_workers(homeserver: StackPlan) -> None:
    router = homeserver.synapse.router
    generic = {behind(router, pool) for pool in (Pool.GENERIC, Pool.EVENT_CREATOR, Pool.PAGINATION)}
    assert not [name for name in generic if processes(homeserver)[name].traits.stream]
