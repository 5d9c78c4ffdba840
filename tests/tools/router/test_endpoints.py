"""The table of endpoints against what the pinned Synapse really registers, process by process, both ways.

When Synapse is raised to a new version, this is what says which endpoints are new, gone, or have moved.
"""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from components.router.endpoints import ENDPOINTS, LEFT_TO_MAIN, Endpoint
from components.router.maps import internal_map, lookup
from components.router.pools import POOLS, Pool, Resource
from sandbox.packages import python_environment
from tests.router.samples import fill
from tests.tools.router.patterns import anonymous, templates

pytestmark = pytest.mark.tools

Registered = dict[str, set[tuple[str, str]]]
"""Process -> (method, template) of all that it registers."""

PAGES = {
    "/health": "every process has it; the kubelet and the router ask it on the health listener",
    "/.well-known": "the router answers it",
    "/_synapse/client/": "pages of a login in progress, whose state is in one process's memory: main",
}
"""What workers serve besides servlets, and where that goes."""


def _dump(features: str) -> list[tuple[str, str, str, str | None]]:
    script = Path(__file__).with_name("synapse_servlets.py")
    python = python_environment("requirements-synapse.lock")
    result = subprocess.run([str(python), str(script), features], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"Synapse did not start:\n{result.stderr[-3000:]}"
    return [(process, mount, method, pattern) for process, mount, method, pattern, _ in json.loads(result.stdout)]


def _registered(rows: list[tuple[str, str, str, str | None]]) -> Registered:
    found: Registered = {}
    for process, mount, method, pattern in rows:
        if pattern is None:
            continue
        for template in templates(pattern):
            # A resource can have patterns that are not below its mount point, and that are never reached there.
            if template.startswith(mount) or (mount.startswith("/_matrix/media") and "/media/" in template):
                found.setdefault(process, set()).add((method, template))
    return found


@pytest.fixture(scope="module")
def every() -> Registered:
    """With every experimental endpoint."""
    return _registered(_dump("all"))


@pytest.fixture(scope="module")
def usual() -> Registered:
    """With Synapse's defaults."""
    return _registered(_dump("default"))


def table(rows: Iterable[Endpoint]) -> dict[tuple[str, str], Pool]:
    return {(method, anonymous(path)): row.pool for row in rows for path in row.paths for method in row.methods}


ROUTED = table(ENDPOINTS)
LEFT = table(left.endpoint for left in LEFT_TO_MAIN)


def listing(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{method} {path}" for method, path in sorted(pairs))


def test_synapse_registers_enough_for_the_comparison_to_mean_something(every: Registered) -> None:
    assert len(every["main"]) > 600 and len(every["client"]) > 350
    assert len(every["federation"]) > 30 and len(every["media"]) > 30


def test_whatever_a_worker_serves_is_routed_or_left_to_main_with_a_reason(every: Registered) -> None:
    served = every["client"] | every["federation"] | every["media"]
    missing = served - set(ROUTED) - set(LEFT)
    assert not missing, f"Synapse's workers serve these, and the table does not know them:\n{listing(missing)}"


@pytest.mark.parametrize("pool", [pool for pool in Pool if pool is not Pool.MAIN])
def test_a_pool_gets_nothing_that_its_processes_do_not_serve(every: Registered, pool: Pool) -> None:
    wanted = {pair for pair, target in ROUTED.items() if target is pool}
    unserved = wanted - every[POOLS[pool].resource.value]
    assert wanted and not unserved, f"{pool} processes answer these with 404 or 405:\n{listing(unserved)}"


def test_what_is_left_to_main_is_served_by_main_and_really_could_go_elsewhere(every: Registered) -> None:
    workers = every["client"] | every["federation"] | every["media"]
    assert not set(LEFT) - every["main"], f"main does not serve:\n{listing(set(LEFT) - every['main'])}"
    assert not set(LEFT) - workers, f"no worker serves these, so no reason is needed:\n{listing(set(LEFT) - workers)}"


def test_main_can_stand_in_for_every_pool_that_falls_back_to_it(every: Registered) -> None:
    for pair, pool in ROUTED.items():
        if POOLS[pool].fallback:
            assert pair in every["main"], f"{pool} falls back to main, which does not serve {pair}"
    media = {pair for pair, pool in ROUTED.items() if POOLS[pool].resource is Resource.MEDIA}
    assert media - every["main"], "main serves all media: the pool could fall back to it"


def test_whatever_main_alone_serves_goes_to_main(every: Registered) -> None:
    """A prefix of the maps must not catch a path that only looks like one of the table."""
    maps = internal_map(Pool, federation=True)
    astray = [
        (method, path)
        for method, path in every["main"] - set(ROUTED)
        if lookup(method, fill(path.replace("{}", "{x}")), maps) != Pool.MAIN
    ]
    assert not astray, f"only main serves these, and they go elsewhere:\n{listing(astray)}"


def test_without_experiments_an_unserved_row_is_unserved_by_main_too(usual: Registered) -> None:
    """A row for an experimental endpoint must not change what a client without it sees."""
    for pair, pool in ROUTED.items():
        if pair not in usual[POOLS[pool].resource.value] and POOLS[pool].fallback:
            assert pair not in usual["main"], f"main serves {pair} by default, {pool} does not"


def test_pages_of_workers_are_known() -> None:
    pages = {mount for process, mount, _, pattern in _dump("all") if pattern is None and process != "main"}
    unknown = {page for page in pages if not page.startswith(tuple(PAGES))}
    assert pages and not unknown, f"workers serve pages that the router does not know: {unknown}"
