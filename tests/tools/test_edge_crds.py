"""The edge's custom resources against the definitions of the controllers that read them, in every variant.

The stacks' own objects are validated as a whole elsewhere; here are the variants that no committed stack has.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from components.edge.objects import manifests
from components.edge.plan import EdgePlan
from tests.edge.examples import ACME, plan, route
from tests.support import crds

pytestmark = pytest.mark.tools

PEM = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"
VARIANTS: dict[str, EdgePlan] = {
    "default": plan(),
    "large with federation": plan(users=20_000, federation=True),
    "acme": plan(tls={"source": "acme", "acme": {**ACME["acme"], "ca": PEM}}),
    "acme with an account": plan(
        tls={
            "source": "acme",
            "acme": {**ACME["acme"], "external_account": {"key_id": "k", "hmac_key": {"secure": "v1:x"}}},
        }
    ),
    "acme by ingress": plan(kind="ingress", ingress_class_name="traefik", proxy_namespace="traefik", tls=ACME),
    "issuer of the cluster": plan(tls={"source": "issuer", "issuer": {"name": "corporate"}}),
    "own certificate": plan(tls={"source": "secret", "secret": "wildcard"}),
    "proxies in front": plan(trusted_proxies=["203.0.113.0/24", "2001:db8::/64"]),
    "another controller": plan(controller="other", gateway_class_name="traefik", proxy_namespace="traefik"),
    "no MetalLB": plan(metallb={"enabled": False}),
    "one interface": plan(metallb={"address_ranges": ["198.51.100.16/28"], "interfaces": ["eth1"]}),
    "administration elsewhere": plan(routes=(route(), route("li-admin", namespace="matrix-li"))),
}


def _documents(edge: EdgePlan) -> Iterator[tuple[str, dict[str, Any]]]:
    for manifest in manifests(edge):
        if manifest.api == "networking.k8s.io/v1":
            continue  # built in, and not a definition
        yield (
            manifest.key,
            {
                "apiVersion": manifest.api,
                "kind": manifest.kind,
                "metadata": {"name": manifest.name},
                "spec": manifest.spec,
            },
        )


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_one_that_its_controller_knows(variant: str) -> None:
    for key, document in _documents(VARIANTS[variant]):
        assert not crds.errors(document), f"{key}: {crds.errors(document)}"


def test_the_definitions_would_notice_a_field_that_does_not_exist() -> None:
    document = dict(next(d for k, d in _documents(VARIANTS["default"]) if k == "ClientTrafficPolicy/edge"))
    document["spec"] = {**document["spec"], "path": {"disableMergeSlash": True}}
    assert crds.errors(document), "a misspelled field must not pass"
