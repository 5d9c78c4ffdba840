"""What a person reads who got the edge's section wrong: file, key path, rule, value."""

from typing import Any

import pytest
import yaml

from kube.errors import StackError
from sandbox.stackfile import merge
from stack.load import CONFIG_KEY, parse, stack_file
from stack.plan import make_plan

RANGE = "edge.metallb.address_ranges"


def problems(changes: dict[str, Any]) -> list[str]:
    raw = yaml.safe_load(stack_file("small").read_text())["config"][CONFIG_KEY]
    with pytest.raises(StackError) as caught:
        make_plan(parse(merge(raw, changes), "Pulumi.small.yaml"), "small")
    return caught.value.lines()


def ranges(*given: str) -> dict[str, Any]:
    return {"edge": {"metallb": {"address_ranges": list(given)}}}


CASES: list[tuple[dict[str, Any], str]] = [
    (
        ranges("198.51.100.10-198.51.100.999"),
        f"{RANGE}[0]: must be first-last such as 198.51.100.10-198.51.100.20, or a network such as 198.51.100.16/28: "
        "'198.51.100.999' does not appear to be an IPv4 or IPv6 address (got '198.51.100.10-198.51.100.999')",
    ),
    (
        ranges("198.51.100.20-198.51.100.10"),
        f"{RANGE}[0]: runs backwards: the last address 198.51.100.10 lies before the first 198.51.100.20 "
        "(got '198.51.100.20-198.51.100.10')",
    ),
    (
        ranges("198.51.100.0/32"),
        f"{RANGE}: is too small: 0 usable addresses (those that end in .0 or .255 are not used), and the platform "
        "needs 1, one for each Service of type LoadBalancer (got ['198.51.100.0/32'])",
    ),
    (
        ranges("198.51.100.255/32", "198.51.100.8/30"),
        f"{RANGE}[0]: has no usable address (those that end in .0 or .255 are not used), and its lowest is the public "
        "one (got '198.51.100.255/32')",
    ),
    (
        ranges("198.51.100.10-198.51.100.20", "198.51.100.16/28"),
        f"{RANGE}[1]: overlaps {RANGE}[0] (got '198.51.100.16/28')",
    ),
    (
        ranges(),
        f"{RANGE}: is empty: MetalLB needs free addresses of the nodes' network, such as 198.51.100.10-198.51.100.20; "
        "where something else gives addresses, set edge.metallb.enabled: false",
    ),
    (
        {"edge": {"metallb": {"enabled": False}}},
        f"{RANGE}: has no meaning while edge.metallb.enabled is false; remove it or enable MetalLB "
        "(got ['198.51.100.10-198.51.100.20'])",
    ),
    (
        {"edge": {"hosts": {"admin": "chat.z3r0d3v.com"}}},
        "edge.hosts.admin: is server_name already; every purpose needs a host of its own (got 'chat.z3r0d3v.com')",
    ),
    (
        {"edge": {"hosts": {"chat": "web.z3r0d3v.com", "admin": "web.z3r0d3v.com"}}},
        "edge.hosts.admin: is the host for chat already; every purpose needs a host of its own (got 'web.z3r0d3v.com')",
    ),
    (
        {"edge": {"hosts": {"chat": "rtc.chat.z3r0d3v.com"}}},
        "edge.hosts.chat: is the host for rtc already; every purpose needs a host of its own "
        "(got 'rtc.chat.z3r0d3v.com')",
    ),
    (
        {"edge": {"hosts": {"chat": "Web_Chat"}}},
        "edge.hosts.chat: must be a fully qualified host name in lower case, such as chat.example.org (got 'Web_Chat')",
    ),
    (
        {"edge": {"hosts": {"homeserver": "matrix.z3r0d3v.com"}}},
        "edge.hosts: homeserver cannot be renamed here: its host is server_name",
    ),
    (
        {"edge": {"administrators": ["10.0.0.1/8"]}},
        "edge.administrators[0]: must be an address range such as 10.0.0.0/8 or fd00::/8: 10.0.0.1/8 has host bits set "
        "(got '10.0.0.1/8')",
    ),
    (
        {"edge": {"tls": {"source": "acme"}}},
        "edge.tls: source is acme, but `acme` is missing",
    ),
    (
        {"edge": {"tls": {"source": "private_ca", "secret": "wildcard"}}},
        "edge.tls: `secret` is given, but source is private_ca: set source: secret, or remove it",
    ),
    (
        {
            "edge": {
                "tls": {
                    "source": "acme",
                    "acme": {
                        "email": "a@z3r0d3v.com",
                        "external_account": {"key_id": "1", "hmac_key": "c2VjcmV0LXNlbnRpbmVs"},
                    },
                }
            }
        },
        "edge.tls.acme.external_account.hmac_key: must not stand here in clear: set it with "
        "`pulumi config set --secret --path 'matrix:stack.<key path>'`",
    ),
    (
        {"edge": {"trusted_proxies": ["203.0.113.0/24"]}},
        "edge.trusted_proxies: names proxies in front of the edge, so the router must look past the edge for a "
        "client's address: synapse.router.trusted_hops must be at least 2, and is 1 (got ['203.0.113.0/24'])",
    ),
    (
        {"edge": {"kind": "ingress"}},
        "edge.proxy_namespace: is missing: which namespace's pods carry the traffic? Only they may connect to the "
        "router",
    ),
    (
        {"edge": {"kind": "ingress", "proxy_namespace": "traefik", "allow_lists": {"homeserver": ["10.0.0.0/8"]}}},
        "edge.allow_lists: cannot be enforced: neither plain Ingress nor the standard Gateway API can restrict clients "
        "by address (got ['homeserver'])",
    ),
    (
        {"edge": {"controller": "other", "proxy_namespace": "traefik"}},
        "edge.gateway_class_name: is missing: controller other needs its own GatewayClass",
    ),
    (
        {"edge": {"ingress_class_name": "traefik"}},
        "edge.ingress_class_name: has no meaning with edge.kind: gateway; remove it (got 'traefik')",
    ),
    (
        {"operators": {"barman_cloud_plugin": {"namespace": "backups"}}},
        "operators.barman_cloud_plugin.namespace: cannot be chosen: the plugin runs in "
        "operators.cloudnative_pg.namespace; remove it (got 'backups')",
    ),
    (
        {"operators": {"cert_manager": {"namespace": "matrix"}}},
        "operators.cert_manager.namespace: must not be the platform's own namespace: operators need rights that it "
        "denies (got 'matrix')",
    ),
    (
        {"operators": {"metallb": {"namespace": "cert-manager"}}},
        "operators.cert_manager.namespace: is shared by metallb and cert_manager: MetalLB's namespace is privileged, "
        "so it must be its own (got 'cert-manager')",
    ),
]


@pytest.mark.parametrize(("changes", "message"), CASES, ids=[message.split(":")[0] for _, message in CASES])
def test_a_wrong_edge_is_told_by_file_key_rule_and_value(changes: dict[str, Any], message: str) -> None:
    lines = problems(changes)
    assert f"Pulumi.small.yaml: matrix:stack.{message}" in lines
    assert "c2VjcmV0LXNlbnRpbmVs" not in "\n".join(lines), "what may be a secret is never shown"


def test_everything_wrong_is_told_at_once() -> None:
    text = "\n".join(problems({"edge": {"kind": "ingress", "hosts": {"li": "chat.z3r0d3v.com"}, **ranges()["edge"]}}))
    for key in ("edge.hosts.li", "edge.proxy_namespace", "edge.metallb.address_ranges"):
        assert key in text
