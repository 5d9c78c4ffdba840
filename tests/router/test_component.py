"""What the component declares, recorded from the Pulumi program's own requests."""

from typing import Any

import pulumi
import pytest
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks

from components.router.component import LEAVE_SECONDS, Router
from components.router.files import config_files, errors
from components.router.plan import FEDERATION_PORT
from tests.router.examples import plan


class _Recorder(Mocks):
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        kind = args.typ.rpartition(":")[2]
        self.objects[kind, args.inputs.get("metadata", {}).get("name", args.name)] = args.inputs
        return args.name, args.inputs

    def call(self, args: MockCallArgs) -> dict[Any, Any]:
        return {}


def declare(federation: bool) -> dict[tuple[str, str], dict[str, Any]]:
    recorder = _Recorder()
    pulumi.runtime.set_mocks(recorder, preview=False)

    @pulumi.runtime.test
    def program() -> None:
        Router(plan("small", federation=federation))

    program()
    return recorder.objects


@pytest.fixture(scope="module")
def objects() -> dict[tuple[str, str], dict[str, Any]]:
    return declare(federation=True)


def test_the_pods_mount_exactly_the_rendered_files(objects: dict[tuple[str, str], dict[str, Any]]) -> None:
    p = plan("small", federation=True)
    pod = objects["Deployment", p.name]["spec"]["template"]["spec"]
    maps = {volume["name"]: volume["configMap"]["name"] for volume in pod["volumes"]}
    assert maps == {"config": config_files(p).name, "errors": errors(p).name}
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == set(maps)
    assert all(objects["ConfigMap", name]["immutable"] for name in maps.values())


def test_services_lead_to_named_ports_of_the_pod(objects: dict[tuple[str, str], dict[str, Any]]) -> None:
    p = plan("small", federation=True)
    template = objects["Deployment", p.name]["spec"]["template"]
    names = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
    for service in (p.name, p.internal_name):
        spec = objects["Service", service]["spec"]
        assert spec["selector"].items() <= template["metadata"]["labels"].items()
        for port in spec["ports"]:
            assert names[port["targetPort"]] == port["port"]
    public = {port["port"] for port in objects["Service", p.name]["spec"]["ports"]}
    assert FEDERATION_PORT in public
    assert not public & {port["port"] for port in objects["Service", p.internal_name]["spec"]["ports"]}, (
        "whoever reaches the public Service must not reach the listener with administration"
    )


def test_without_federation_its_port_is_nowhere() -> None:
    everything = str(declare(federation=False))
    assert str(FEDERATION_PORT) not in everything


def test_a_stopping_pod_has_time_to_drain(objects: dict[tuple[str, str], dict[str, Any]]) -> None:
    p = plan("small", federation=True)
    pod = objects["Deployment", p.name]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > LEAVE_SECONDS + p.drain_seconds
    assert "kill -USR1 1" in pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
