"""Each rule of the policy pack: one object that it lets pass, and one for each thing that it refuses."""

import copy
from typing import Any

import pytest

from policy.rules import RULES, Declared, violations

GOOD: dict[str, Any] = {
    "metadata": {"namespace": "matrix"},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "app",
                        "image": "registry.example/app:1.2",
                        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ]
            }
        }
    },
}
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
CLAIMS = [{"metadata": {"name": "data"}}]


def edited(path: str, value: Any) -> dict[str, Any]:
    """GOOD with one value set (or removed, when None) at a dotted path."""
    result: dict[str, Any] = copy.deepcopy(GOOD)
    target: Any = result
    *parents, last = path.split(".")
    for part in parents:
        target = target[int(part)] if part.isdigit() else target[part]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return result


CONTAINER = "spec.template.spec.containers.0"
POD = "spec.template.spec"

# One line each, so that the table reads as a table.
# ruff: noqa: E501
REFUSED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("pods-have-sizes", "no memory limit", STATEFUL_SET, edited(f"{CONTAINER}.resources.limits", {})),
    ("pods-have-sizes", "requests no cpu", STATEFUL_SET, edited(f"{CONTAINER}.resources.requests.cpu", None)),
    ("images-are-fixed", "fixed version", STATEFUL_SET, edited(f"{CONTAINER}.image", "registry.example:5000/app")),
    ("images-are-fixed", "fixed version", STATEFUL_SET, edited(f"{CONTAINER}.image", "app:latest")),
    ("containers-are-confined", "privileged", STATEFUL_SET, edited(f"{CONTAINER}.securityContext.privileged", True)),
    ("containers-are-confined", "escalate", STATEFUL_SET, edited(f"{CONTAINER}.securityContext.allowPrivilegeEscalation", True)),
    ("containers-are-confined", "root file system", STATEFUL_SET, edited(f"{CONTAINER}.securityContext.readOnlyRootFilesystem", False)),
    ("containers-are-confined", "capabilities", STATEFUL_SET, edited(f"{CONTAINER}.securityContext.capabilities", {})),
    ("pods-keep-off-the-host", "hostNetwork", STATEFUL_SET, edited(f"{POD}.hostNetwork", True)),
    ("pods-keep-off-the-host", "path of the node", STATEFUL_SET, edited(f"{POD}.volumes", [{"name": "v", "hostPath": {"path": "/"}}])),
    ("data-is-protected", "not protected", STATEFUL_SET, edited("spec.volumeClaimTemplates", CLAIMS)),
    ("data-is-protected", "not protected", "kubernetes:postgresql.cnpg.io/v1:Cluster", {"spec": {}}),
    ("secrets-stay-in-secrets", "private key", "kubernetes:core/v1:ConfigMap", {"data": {"k": "-----BEGIN EC " + "PRIVATE KEY-----"}}),
    ("secrets-stay-in-secrets", "signing key", "kubernetes:core/v1:ConfigMap", {"data": {"k": "ed25519 a_x " + "A" * 43}}),
    ("secrets-stay-in-secrets", "password", "kubernetes:core/v1:ConfigMap", {"data": {"k": "password: " + "x" * 20}}),
    ("edge-has-tls", "without TLS", "kubernetes:networking.k8s.io/v1:Ingress", {"spec": {"rules": []}}),
    ("edge-has-tls", "has no TLS", "kubernetes:gateway.networking.k8s.io/v1:Gateway", {"spec": {"listeners": [{"name": "a", "port": 443}]}}),
    ("services-stay-inside", "every node", "kubernetes:core/v1:Service", {"spec": {"type": "NodePort"}}),
    ("services-stay-inside", "all sources", "kubernetes:core/v1:Service", {"spec": {"type": "LoadBalancer"}}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "words", "kind", "props"), REFUSED)
def test_a_rule_refuses_what_it_is_for(rule: str, words: str, kind: str, props: dict[str, Any]) -> None:
    found = violations(Declared(type=kind, name="x", props=props, protected=False))
    assert any(name == rule and words in sentence for name, sentence in found), f"{rule} let it pass; found {found}"


def test_every_rule_has_a_case_that_it_refuses() -> None:
    assert {rule.name for rule in RULES} == {case[0] for case in REFUSED}, "a rule without a case may refuse nothing"


def test_a_decent_workload_passes_every_rule() -> None:
    assert violations(Declared(type=STATEFUL_SET, name="x", props=GOOD, protected=False)) == []


def test_protected_data_passes() -> None:
    props = edited("spec.volumeClaimTemplates", CLAIMS)
    assert violations(Declared(type=STATEFUL_SET, name="x", props=props, protected=True)) == []
