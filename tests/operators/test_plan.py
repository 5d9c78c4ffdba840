"""Which operators are installed, in which order, from where, and with whose images."""

from typing import Any

import pytest

from components.network.plan import NamespacePlan, PodSecurity
from components.operators.plan import OPERATORS, OperatorsPlan, charts, make_plan, merge
from components.operators.settings import OperatorsSettings
from components.operators.values import Reference
from stack import charts as lock
from stack.images import read_lock
from tests.edge.examples import platform

ALL = [o.key for o in OPERATORS]
REGISTRY = "registry.intern:5000/matrix"


def plan(registry: str = "", needed: Any = ALL, **given: Any) -> OperatorsPlan:
    settings = OperatorsSettings.model_validate(given)
    return make_plan(settings, platform(registry=registry), lock.read_lock(), needed=needed)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [s for item in value.values() for s in strings(item)]
    if isinstance(value, (list, tuple)):
        return [s for item in value for s in strings(item)]
    return [value] if isinstance(value, str) else []


def test_every_release_comes_after_those_that_it_needs() -> None:
    seen: set[str] = set()
    for release in plan().releases:
        assert set(release.after) <= seen, f"{release.key} is made before what it needs"
        seen.add(release.key)
    order = [release.key for release in plan().releases]
    assert order.index("cert_manager") < order.index("barman_cloud_plugin"), "the plugin's chart makes Certificates"
    assert order.index("envoy_gateway") < order.index("cert_manager"), (
        "cert-manager stops when the Gateway API's definitions are not there yet"
    )


def test_an_operator_that_the_cluster_has_is_left_alone_and_still_known() -> None:
    mine = plan(cert_manager={"install": False, "namespace": "certificates"})
    assert "cert_manager" not in {r.key for r in mine.releases}
    assert mine.namespace("cert_manager") == "certificates"
    assert "certificates" not in {n.name for n in mine.namespaces}, "its namespace is not ours to make"
    barman = next(r for r in mine.releases if r.key == "barman_cloud_plugin")
    assert "cert_manager" not in barman.after


def test_what_the_stack_does_not_need_is_not_installed() -> None:
    assert {r.key for r in plan(needed={"cloudnative_pg"}).releases} == {"cloudnative_pg"}


def test_the_plugin_lives_with_its_operator() -> None:
    mine = plan(cloudnative_pg={"namespace": "databases"})
    assert mine.namespace("barman_cloud_plugin") == "databases"
    assert {r.namespace for r in mine.releases if r.key in ("cloudnative_pg", "barman_cloud_plugin")} == {"databases"}


def test_versions_are_pinned_and_can_be_chosen() -> None:
    for release in plan().releases:
        assert release.version, f"{release.key} would install whatever is newest"
    chosen = plan(metallb={"version": "0.16.9"}).releases[0]
    assert (chosen.key, chosen.version) == ("metallb", "0.16.9")


@pytest.mark.parametrize(
    ("given", "reference", "version"),
    [
        ({}, "oci://quay.io/metallb/chart/metallb", "0.16.2"),
        ({"chart_mirror": "oci://registry.intern/charts/"}, "oci://registry.intern/charts/metallb", "0.16.2"),
        ({"chart_mirror": "mirror/charts"}, "mirror/charts/metallb-0.16.2.tgz", None),
        ({"chart_mirror": "oci://x", "metallb": {"chart": "oci://y/z/metallb"}}, "oci://y/z/metallb", "0.16.2"),
        ({"metallb": {"chart": "charts/metallb"}}, "charts/metallb", None),
    ],
)
def test_charts_come_from_upstream_a_registry_or_a_directory(
    given: dict[str, Any], reference: str, version: str | None
) -> None:
    release = next(r for r in plan(**given).releases if r.key == "metallb")
    assert (release.chart, release.version) == (reference, version)


def test_one_registry_setting_moves_every_image_of_every_operator() -> None:
    before = {r.key: strings(r.values) for r in plan().releases}
    after = {r.key: strings(r.values) for r in plan(REGISTRY).releases}
    hosts = {image.repository.partition("/")[0] for image in read_lock().values()}
    for key, texts in after.items():
        assert any(REGISTRY.partition("/")[0] in text for text in texts), f"{key} names no image"
        stale = [text for text in texts if text.partition("/")[0] in hosts]
        assert not stale, f"{key} still pulls from {stale}"
        assert texts != before[key]


def test_every_operator_image_of_the_lock_is_named_in_some_value() -> None:
    """An image that no chart is told about is one that the chart pulls from wherever it likes."""
    text = " ".join(s for r in plan().releases for s in strings(r.values))
    frame = platform()
    for name, image in read_lock().items():
        if "operator" in image.used_by or image.used_by == "the edge's proxies":
            assert Reference(frame.images.ref(name)).path in text, f"{name} is in the lock, yet no chart is told"


def test_every_container_of_an_operator_has_a_memory_limit() -> None:
    def sizes(value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, dict):
            return []
        mine = [value["resources"]] if "resources" in value else []
        return mine + [size for item in value.values() for size in sizes(item)]

    for release in plan().releases:
        found = sizes(release.values)
        assert found, f"{release.key} sets no size at all"
        assert all("memory" in size["limits"] and "cpu" in size["requests"] for size in found)


def test_values_of_the_stack_file_win_key_by_key() -> None:
    release = plan(cloudnative_pg={"values": {"replicaCount": 3, "image": {"tag": "1.30.2"}}}).releases[-2]
    assert release.key == "cloudnative_pg"
    assert release.values["replicaCount"] == 3
    assert release.values["image"] == {"repository": "ghcr.io/cloudnative-pg/cloudnative-pg", "tag": "1.30.2"}
    assert merge({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}}


def test_only_metallb_is_privileged_and_it_says_why() -> None:
    levels = {n.name: n for n in plan().namespaces}
    assert {name for name, n in levels.items() if n.level is not PodSecurity.RESTRICTED} == {"metallb-system"}
    assert "host network" in levels["metallb-system"].annotations["synapse-platform/pod-security-reason"]
    with pytest.raises(ValueError, match="without a reason"):
        NamespacePlan(name="x", level=PodSecurity.PRIVILEGED)


@pytest.mark.parametrize(
    ("full", "repository", "tag"),
    [
        ("quay.io/metallb/speaker:v1", "quay.io/metallb/speaker", "v1"),
        ("registry.intern:5000/a/b:1@sha256:ff", "registry.intern:5000/a/b", "1@sha256:ff"),
        ("registry.intern:5000/a/b", "registry.intern:5000/a/b", ""),
    ],
)
def test_image_references_are_taken_apart_at_the_tag_and_not_at_a_port(full: str, repository: str, tag: str) -> None:
    reference = Reference(full)
    assert (reference.repository, reference.tag) == (repository, tag)
    assert f"{reference.registry}/{reference.path}" == repository


def test_the_list_for_mirroring_has_every_chart_that_may_be_pulled() -> None:
    settings = OperatorsSettings.model_validate({"chart_mirror": "oci://r/c", "metallb": {"install": False}})
    listed = charts(settings, lock.read_lock())
    assert len(listed) == len(OPERATORS) - 1
    assert ("oci://quay.io/jetstack/charts/cert-manager:v1.21.2", "oci://r/c/cert-manager:v1.21.2") in {
        (c.source, c.reference) for c in listed
    }


def test_the_lock_has_exactly_the_charts_of_the_operators() -> None:
    assert set(lock.read_lock()) == {o.chart for o in OPERATORS}
