"""What the operators' own charts make of our values: images, sizes, places, security."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from components.operators.plan import Release
from kube.quantity import parse_bytes, parse_cpu
from sandbox.toolchain import pinned
from stack.charts import read_lock as read_charts
from stack.images import read_lock
from tests.edge.examples import platform
from tests.operators.test_plan import REGISTRY, plan
from tests.tools.helm import CHARTS, rendered

pytestmark = pytest.mark.tools

KUBERNETES = "1.35.0"
DAEMONS = {"metallb"}
"""Charts with pods on every node; these are not in the plan's workloads."""


@cache
def release(name: str) -> Release:
    return next(r for r in plan(REGISTRY).releases if r.name == name)


@cache
def documents(name: str) -> tuple[Any, ...]:
    mine = release(name)
    return tuple(rendered(name, mine.name, mine.namespace, mine.values, KUBERNETES))


def owners(name: str) -> Iterator[tuple[str, Any, Any]]:
    for document in documents(name):
        if document["kind"] in ("Deployment", "DaemonSet", "StatefulSet", "Job"):
            where = f"{document['kind']} {document['metadata']['name']}"
            yield where, document, document["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", CHARTS)
def test_the_rendered_chart_is_the_locked_one(name: str) -> None:
    assert read_charts()[name].app.removeprefix("v") == pinned("crds", CHARTS[name][0]).removeprefix("v")


@pytest.mark.parametrize("name", CHARTS)
def test_every_container_runs_an_image_of_the_lock_from_our_registry(name: str) -> None:
    frame = platform(registry=REGISTRY)
    known = {frame.images.ref(image) for image in read_lock()}
    found = list(owners(name))
    assert found, "a chart without pods is a chart that was not rendered"
    for where, _, pod in found:
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert container["image"] in known, f"{where} pulls {container['image']}"
            assert container["imagePullPolicy"] == "IfNotPresent", f"{where} asks the registry at every start"


@pytest.mark.parametrize("name", CHARTS)
def test_every_container_has_requests_and_a_memory_limit_and_stands_on_our_nodes(name: str) -> None:
    for where, _, pod in owners(name):
        assert pod["nodeSelector"].get("synapse-platform/pool") == "application", f"{where} may go anywhere"
        for container in pod["containers"]:
            size = container["resources"]
            assert {"cpu", "memory"} <= set(size["requests"]), f"{where} requests nothing"
            assert "memory" in size["limits"], f"{where} has no memory limit"


@pytest.mark.parametrize("name", CHARTS)
def test_the_capacity_report_counts_what_the_chart_makes(name: str) -> None:
    made = sorted(
        (
            document["spec"].get("replicas", 1),
            parse_cpu(pod["containers"][0]["resources"]["requests"]["cpu"]),
            parse_bytes(pod["containers"][0]["resources"]["requests"]["memory"]),
        )
        for _, document, pod in owners(name)
        if document["kind"] == "Deployment"
    )
    assert made == sorted((w.replicas, w.cpu, w.memory) for w in release(name).workloads)


@pytest.mark.parametrize("name", sorted(set(CHARTS) - DAEMONS))
def test_pods_are_admitted_by_the_level_of_their_namespace(name: str) -> None:
    """Pod Security `restricted`, which these namespaces enforce: a pod that breaks it is never made."""
    for where, _, pod in owners(name):
        assert not pod.get("hostNetwork") and not pod.get("hostPID"), where
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            security = {**(pod.get("securityContext") or {}), **(container.get("securityContext") or {})}
            assert security.get("runAsNonRoot") is True, where
            assert security.get("seccompProfile", {}).get("type") == "RuntimeDefault", where
            assert security.get("allowPrivilegeEscalation") is False, where
            assert security.get("capabilities", {}).get("drop") == ["ALL"], where


def test_cert_manager_is_told_of_the_gateway_api() -> None:
    """Without it the proof of ACME through the Gateway is never attempted."""
    configs = [d["data"] for d in documents("cert-manager") if d["kind"] == "ConfigMap"]
    assert any("enableGatewayAPI: true" in text for data in configs for text in data.values())


def test_proxies_run_the_locked_envoy() -> None:
    frame = platform(registry=REGISTRY)
    configs = [str(d["data"]) for d in documents("envoy-gateway") if d["kind"] == "ConfigMap"]
    assert any(frame.images.ref("envoy") in text for text in configs)
