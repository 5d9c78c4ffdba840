"""The sandbox keeps its promise: what the engine waits for becomes ready for a reason, or not for a reason."""

import base64
import ipaddress
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from sandbox import report
from sandbox.api import core
from sandbox.session import Session
from tests.engine.harness import PROGRAMS, Program, left_over, machines, pods


@pytest.fixture(scope="module")
def program(sandbox: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    machines(sandbox.cluster.api, 3)
    made = Program(sandbox, PROGRAMS / "basics", tmp_path_factory.mktemp("basics"))
    made.up()
    yield made


def test_every_pod_runs_or_has_completed(program: Program) -> None:
    found = pods(program.session.cluster.api, "basics")
    jobs = {name for name, phase in found.items() if phase == "Succeeded"}
    assert {name.rsplit("-", 1)[0] for name in jobs} == {"once"}, "a Job's pod completes and no other does"
    running = {name for name, phase in found.items() if phase == "Running"}
    assert len(running) == 2 + 2 + 3, f"two of web, two of store, three of postgres, found {found}"


def test_database_instances_are_real_pods_that_the_scheduler_placed_apart(program: Program) -> None:
    placed = {
        pod["metadata"]["name"]: pod["spec"]["nodeName"]
        for pod in program.session.cluster.api.list(core("pods", "basics"), labelSelector="cnpg.io/cluster=postgres")
    }
    assert set(placed) == {"postgres-1", "postgres-2", "postgres-3"}
    assert len(set(placed.values())) == 3, f"required anti-affinity puts each on its own machine, found {placed}"


def test_claims_are_bound_to_volumes_of_the_asked_size(program: Program) -> None:
    claims = program.session.cluster.api.list(core("persistentvolumeclaims", "basics"))
    assert {c["status"]["phase"] for c in claims} == {"Bound"}
    assert len(claims) == 2 + 3, "two of store, one of each database instance"


def test_a_load_balancer_gets_an_address_that_the_program_can_read(program: Program) -> None:
    address = program.session.engine.outputs(program.directory, program.stack)["address"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network("198.18.255.0/24")


def test_a_certificate_comes_with_its_secret(program: Program) -> None:
    secret = program.session.cluster.api.get(core("secrets", "basics", "web-tls"))
    assert secret is not None, "whoever mounts the Secret would wait for ever"
    certificate = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["chat.example.org"]


def test_a_second_up_changes_nothing(program: Program) -> None:
    assert program.up("--expect-no-changes").events.changes == {}


def test_an_edit_changes_what_it_names_and_restarts_nothing(program: Program) -> None:
    before = set(pods(program.session.cluster.api, "basics"))
    program.config = {"basics:replicas": "3"}
    result = program.up()
    program.config = {}
    assert result.events.named("update") == {"Deployment/web"}
    assert set(result.events.changes.values()) == {"update"}, f"nothing is replaced, found {result.events.changes}"
    assert before < set(pods(program.session.cluster.api, "basics")), "one pod more, all others the same"


def test_pods_that_fit_nowhere_fail_the_up_and_the_report_gives_the_schedulers_reason(program: Program) -> None:
    program.config = {"basics:replicas": "3", "basics:cpu": "64", "basics:timeout": "8"}
    result = program.run("up")
    found = report.diagnosis(program.session.cluster.api)
    program.config = {}
    assert not result.ok, "64 CPU fit on no machine of 8"
    assert "Deployment/web" in " ".join(result.events.errors), "the engine names what did not become ready"
    assert "Insufficient cpu" in found, "the engine does not say why a pod waits, so the sandbox does"
    program.up()


def test_an_up_that_was_killed_is_gone_on_with(program: Program) -> None:
    locks = program.session.engine.backend / ".pulumi" / "locks"
    program.config = {"basics:replicas": "4"}
    with program.started("up") as process:
        deadline = time.monotonic() + 60
        # As soon as it holds the lock: the engine is at work from then on for seconds, however fast the cluster is.
        while not list(locks.rglob("*.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
    assert len(list(locks.rglob("*.json"))) == 1, "the killed engine left its lock, which would refuse further runs"
    program.config = {}
    program.up()


def test_pod_security_is_enforced(program: Program) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "c", "image": "x", "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(Exception, match="violates PodSecurity"):
        program.session.cluster.api.create(core("pods", "basics"), pod)


def test_destroy_leaves_nothing(program: Program, tmp_path: Path) -> None:
    api = program.session.cluster.api
    program.destroy()
    assert left_over(api, "basics") == []
    deadline = time.monotonic() + 20
    while api.list(core("persistentvolumes")) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert api.list(core("persistentvolumes")) == [], "volumes are deleted with their claims"
