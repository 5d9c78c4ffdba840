"""What an edit does, by the provider's rules: each rule with the smallest pair of recordings that shows it."""

from dataclasses import replace
from typing import Any

import pytest

from stack.diff import Effects, differences, effects, short
from stack.resources import Resource
from tests.support.recordings import pulumi, recording, resource, workload


def _edit(old: Resource, **changed: Any) -> Effects:
    return effects(recording(old), recording(replace(old, **changed)))


def _set(**more: Any) -> Resource:
    return resource("StatefulSet", api="apps/v1", inputs=workload(**more))


def _kinds(found: Effects) -> set[str]:
    return {name for name in Effects.__dataclass_fields__ if getattr(found, name)}


def test_the_same_program_does_nothing() -> None:
    assert not effects(recording(_set()), recording(_set()))


def test_another_image_restarts_the_pods() -> None:
    found = _edit(_set(), inputs=_set(image="a:2").inputs)
    assert _kinds(found) == {"restart"}
    assert found.restart[0].fields == ("spec.template.spec.containers[main].image",)


def test_another_count_changes_the_workload_and_restarts_nobody() -> None:
    assert _kinds(_edit(_set(), inputs=_set(replicas=2).inputs)) == {"change"}


@pytest.mark.parametrize(
    "field", ["serviceName", "podManagementPolicy", "volumeClaimTemplates", "revisionHistoryLimit"]
)
def test_what_kubernetes_never_changes_on_a_stateful_set_replaces_it(field: str) -> None:
    assert _kinds(_edit(_set(), inputs=_set(**{field: "other"}).inputs)) == {"replace"}


@pytest.mark.parametrize(
    ("kind", "api", "path"),
    [
        ("Deployment", "apps/v1", ("spec", "selector")),
        ("Job", "batch/v1", ("spec", "template")),
        ("Service", "v1", ("spec", "clusterIP")),
        ("PersistentVolumeClaim", "v1", ("spec", "storageClassName")),
        ("RoleBinding", "rbac.authorization.k8s.io/v1", ("roleRef", "name")),
        ("Secret", "v1", ("type", "")),
    ],
)
def test_replacing_fields_of_other_kinds(kind: str, api: str, path: tuple[str, str]) -> None:
    def body(value: str) -> dict[str, Any]:
        first, second = path
        inputs = workload(kind)
        inputs[first] = {**inputs.get(first, {}), second: value} if second else value
        return inputs

    old = resource(kind, api=api, inputs=body("one"))
    assert _kinds(_edit(old, inputs={**old.inputs, **body("two")})) == {"replace"}


def test_a_volume_may_grow_in_place() -> None:
    old = resource("PersistentVolumeClaim", inputs={"spec": {"resources": {"requests": {"storage": "1Gi"}}}})
    new = resource("PersistentVolumeClaim", inputs={"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    assert _kinds(effects(recording(old), recording(new))) == {"change"}


def test_another_name_replaces_whatever_it_is() -> None:
    old, new = resource("Widget", "one", logical="w", api="x/v1"), resource("Widget", "two", logical="w", api="x/v1")
    assert _kinds(effects(recording(old), recording(new))) == {"replace"}


def test_an_immutable_config_of_a_new_name_is_a_file_beside_the_old_one() -> None:
    old = resource("ConfigMap", "c-1", logical="c", inputs={"immutable": True, "data": {"a": "1"}})
    new = resource("ConfigMap", "c-2", logical="c", inputs={"immutable": True, "data": {"a": "2"}})
    found = effects(recording(old), recording(new))
    assert _kinds(found) == {"files"}
    assert found.files[0].name == "c", "people know it by the name that stays"


def test_immutable_data_under_the_same_name_is_replaced_and_mutable_data_changed() -> None:
    for immutable, expected in ((True, "replace"), (False, "change")):
        old = resource("ConfigMap", inputs={"immutable": immutable, "data": {"a": "1"}})
        assert _kinds(_edit(old, inputs={**old.inputs, "data": {"a": "2"}})) == {expected}


def test_a_secret_s_value_changes_in_place() -> None:
    old = resource("Secret", inputs={"stringData": {"a": "1"}})
    assert _kinds(_edit(old, inputs={**old.inputs, "stringData": {"a": "2"}})) == {"change"}


def test_ignored_fields_do_nothing() -> None:
    old = replace(_set(volumeClaimTemplates=["1Gi"]), ignore_changes=("spec.volumeClaimTemplates",))
    new = replace(_set(volumeClaimTemplates=["2Gi"]), ignore_changes=("spec.volumeClaimTemplates",))
    assert not effects(recording(old), recording(new))


def test_replace_on_changes_replaces() -> None:
    old = replace(_set(), replace_on_changes=("spec.replicas",))
    assert _kinds(_edit(old, inputs=_set(replicas=2).inputs)) == {"replace"}


def test_whoever_is_bound_to_a_replaced_one_is_replaced_with_it_and_so_on() -> None:
    def job(template: str) -> Resource:
        return resource("Job", "job", api="batch/v1", inputs={"spec": {"template": template}})

    first = replace(resource("StatefulSet", "a", api="apps/v1", inputs=workload(name="a")), replace_with=(job("").urn,))
    second = replace(resource("StatefulSet", "b", api="apps/v1", inputs=workload(name="b")), replace_with=(first.urn,))
    found = effects(recording(job("1"), first, second), recording(job("2"), first, second))
    assert [c.title for c in found.replace] == ["Job/job", "StatefulSet/a", "StatefulSet/b"]


def test_protected_resources_refuse_to_be_replaced_or_deleted() -> None:
    old = replace(_set(), protect=True)
    assert _kinds(_edit(old, inputs=_set(serviceName="y").inputs)) == {"refused"}
    assert _kinds(effects(recording(old), recording())) == {"refused"}
    assert _kinds(_edit(old, inputs=_set(image="a:2").inputs)) == {"restart"}, "protection hinders no update"


def test_a_guard_that_is_confirmed_is_replaced() -> None:
    old = pulumi("random:index/randomId:RandomId", inputs={"keepers": {"name": "a"}}, protect=True)
    assert _kinds(_edit(old, inputs={"keepers": {"name": "b"}})) == {"refused"}
    assert _kinds(_edit(old, inputs={"keepers": {"name": "b"}}, protect=False)) == {"replace"}


def test_what_is_new_is_created_and_what_is_gone_deleted() -> None:
    found = effects(recording(resource("Service", "a")), recording(resource("Service", "b")))
    assert ([c.name for c in found.create], [c.name for c in found.delete]) == (["b"], ["a"])


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": 1}, {}, ["a"]),
        ([1, 2], [1, 3], ["[1]"]),
        ([1, 2], [1], [""]),
        ([{"name": "x", "v": 1}], [{"name": "y", "v": 1}, {"name": "x", "v": 2}], ["[x].v", "[y]"]),
        ([{"name": "x"}, {"name": "y"}], [{"name": "y"}, {"name": "x"}], [""]),
        ({"a": {"b": None}}, {"a": {}}, []),
    ],
)
def test_differences_are_told_by_path(old: Any, new: Any, paths: list[str]) -> None:
    assert list(differences(old, new)) == paths


def test_fields_of_a_pod_template_are_told_briefly() -> None:
    assert short("spec.template.spec.containers[main].image") == "containers[main].image"
    assert short("spec.replicas") == "spec.replicas"
