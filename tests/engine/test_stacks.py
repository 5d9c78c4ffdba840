"""Every committed stack, by the real engine onto machines of its own sizes: it comes up whole, and stays as it is."""

import time
from collections.abc import Iterator

import pytest

from sandbox import report
from sandbox.api import core
from sandbox.engine import Result, project
from sandbox.nodes import wanted
from sandbox.session import Session
from sandbox.stackfile import committed

# Seconds on two cores: what the project promises for `up`, all pods running, and for an up without changes.
_UP_SECONDS = {"small": 180, "medium": 330, "large": 480}
_UNCHANGED_SECONDS = 40
# Another test run or build on the same two cores must not fail the promise.
_PATIENCE = 2


class Deployed:
    """One stack on the cluster, with what its first `up` did."""

    def __init__(self, session: Session, stack: str) -> None:
        self.session = session
        self.stack = stack
        session.serve(stack)
        began = time.monotonic()
        self.first = self.run("up", "--policy-pack", str(session.engine.policy_pack()))
        api = session.cluster.api
        while self.first.ok and report.not_running(api) and time.monotonic() - began < _UP_SECONDS[stack] * _PATIENCE:
            time.sleep(0.5)
        self.seconds = time.monotonic() - began

    def run(self, operation: str, *arguments: str) -> Result:
        config = self.session.config_file(self.stack)
        return self.session.engine.run(operation, project(), self.stack, config_file=config, arguments=arguments)


@pytest.fixture(scope="module", params=list(_UP_SECONDS))
def deployed(sandbox: Session, request: pytest.FixtureRequest) -> Iterator[Deployed]:
    found = Deployed(sandbox, request.param)
    assert found.first.ok, f"{found.first.output[-4000:]}\n{report.diagnosis(sandbox.cluster.api)}"
    print(f"\nup of {found.stack}: {found.seconds:.0f} s, {len(found.first.events.operations)} resources")
    yield found


def test_the_cluster_has_the_machines_of_the_stack(deployed: Deployed) -> None:
    nodes = {node["metadata"]["name"] for node in deployed.session.cluster.api.list(core("nodes"))}
    asked = {node["metadata"]["name"] for node in wanted(committed(deployed.stack)).nodes}
    assert nodes == asked


def test_every_pod_runs_within_the_promised_time(deployed: Deployed) -> None:
    assert report.not_running(deployed.session.cluster.api) == []
    limit = _UP_SECONDS[deployed.stack] * _PATIENCE
    assert deployed.seconds <= limit, f"up of {deployed.stack} took {deployed.seconds:.0f} s, allowed are {limit} s"


def test_every_custom_resource_is_ready_and_every_claim_bound(deployed: Deployed) -> None:
    api = deployed.session.cluster.api
    assert report.custom_not_ready(api) + report.volumes_not_bound(api) == []


def test_every_file_and_secret_that_a_pod_names_exists(deployed: Deployed) -> None:
    assert report.dangling_references(deployed.session.cluster.api) == []


def test_a_second_up_changes_nothing_and_is_quick(deployed: Deployed) -> None:
    result = deployed.run("up", "--expect-no-changes")
    assert result.ok, f"a second up must find nothing to do:\n{result.output[-4000:]}"
    limit = _UNCHANGED_SECONDS * _PATIENCE
    assert result.seconds <= limit, f"took {result.seconds:.0f} s, allowed are {limit} s"


def test_a_preview_agrees_with_the_policy_pack(deployed: Deployed) -> None:
    result = deployed.run("preview", "--policy-pack", str(deployed.session.engine.policy_pack()))
    assert result.ok, f"the platform breaks its own rules:\n{result.output[-4000:]}"
    assert "synapse-platform@v0.0.1" in result.output, "the pack was really asked"


def test_protected_resources_refuse_to_be_destroyed(deployed: Deployed) -> None:
    result = deployed.run("destroy")
    assert not result.ok, "data-bearing resources are protected"
    assert "protect" in " ".join(result.events.errors) + result.output
    assert report.not_running(deployed.session.cluster.api) == [], "a refused destroy touches nothing"


def test_destroy_leaves_nothing(deployed: Deployed) -> None:
    session = deployed.session
    session.engine.release(project(), deployed.stack)
    result = deployed.run("destroy")
    assert result.ok, f"destroy failed:\n{result.output[-4000:]}"
    api = session.cluster.api
    deadline = time.monotonic() + 60
    while (found := _left(session)) and time.monotonic() < deadline:
        time.sleep(1)
    assert found == [], "what the stack made, the stack takes away"
    assert api.list(core("persistentvolumes")) == [], "volumes go with their claims"


def _left(session: Session) -> list[str]:
    """Namespaces, pods and claims that are none of Kubernetes' own."""
    api = session.cluster.api
    own = {"default", "kube-system", "kube-public", "kube-node-lease"}
    own |= set(wanted(committed(session.serving)).operator_namespaces)
    namespaces = [n["metadata"]["name"] for n in api.list(core("namespaces")) if n["metadata"]["name"] not in own]
    pods = [p["metadata"]["name"] for p in api.list(core("pods"))]
    volumes = [v["metadata"]["name"] for v in api.list(core("persistentvolumes"))]
    return namespaces + pods + volumes
