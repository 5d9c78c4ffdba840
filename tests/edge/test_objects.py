"""What the edge declares, and why each of it is so."""

from typing import Any

import pytest

from components.edge.manifest import Manifest
from components.edge.objects import manifests
from components.edge.plan import EdgePlan, hosts, proxy_labels
from kube.flows import AnyPodIn, Pods
from kube.reachability import Outside, Pod, may_connect
from tests.edge.examples import ACME, plan, platform, route, settings


def made(edge: EdgePlan) -> dict[str, Manifest]:
    result = {m.key: m for m in manifests(edge)}
    assert len(result) == len(manifests(edge)), "two objects of one kind and name"
    return result


def test_the_gateway_has_exactly_the_doors_that_are_needed() -> None:
    def doors(edge: EdgePlan) -> set[tuple[int, str, str | None]]:
        listeners = made(edge)["Gateway/edge"].spec["listeners"]
        return {(d["port"], d["protocol"], d.get("hostname")) for d in listeners}

    closed = {(80, "HTTP", None), (443, "HTTPS", "chat.z3r0d3v.com")}
    assert doors(plan()) == closed
    assert doors(plan(federation=True)) == {*closed, (8448, "HTTPS", "chat.z3r0d3v.com")}


def test_nothing_but_the_redirect_is_served_without_tls() -> None:
    objects = made(plan(federation=True))
    plain = {d["name"] for d in objects["Gateway/edge"].spec["listeners"] if "tls" not in d}
    routes = [m for m in objects.values() if m.kind == "HTTPRoute"]
    on_plain = [m for m in routes if {p["sectionName"] for p in m.spec["parentRefs"]} & plain]
    assert [m.name for m in on_plain] == ["redirect-to-https"]
    assert "backendRefs" not in on_plain[0].spec["rules"][0]


def test_long_polls_and_websockets_are_not_cut_by_the_edge() -> None:
    rule = made(plan())["HTTPRoute/homeserver"].spec["rules"][0]
    assert rule["timeouts"] == {"request": "0s"}, "a default timeout of 15 s would end every /sync"


def test_federation_goes_to_the_routers_own_port_for_it() -> None:
    objects = made(plan(federation=True))
    assert objects["HTTPRoute/homeserver"].spec["rules"][0]["backendRefs"] == [{"name": "synapse-router", "port": 8008}]
    federation = objects["HTTPRoute/homeserver-federation"].spec
    assert federation["rules"][0]["backendRefs"] == [{"name": "synapse-router", "port": 8448}]
    assert federation["parentRefs"] == [{"name": "edge", "sectionName": "homeserver-federation"}]


def test_paths_reach_the_router_as_clients_wrote_them() -> None:
    policy = made(plan())["ClientTrafficPolicy/edge"].spec
    assert policy["path"] == {"disableMergeSlashes": True, "escapedSlashesAction": "KeepUnchanged"}, (
        "Envoy Gateway redirects %2F to / by default, and state keys with a slash can then not be written"
    )


@pytest.mark.parametrize("users", [100, 1_000, 20_000])
def test_every_user_may_hold_a_long_poll_through_one_proxy(users: int) -> None:
    limits = made(plan(users=users))["BackendTrafficPolicy/edge"].spec["circuitBreaker"]
    assert min(limits.values()) >= 2 * users, "Envoy's default of 1,024 parallel requests answers 503 to all others"


def test_more_users_never_mean_a_smaller_proxy() -> None:
    sizes = [plan(users=users).workloads[0].resources for users in (1, 100, 1_000, 5_000, 20_000)]
    assert [s.cpu for s in sizes] == sorted(s.cpu for s in sizes)
    assert [s.memory for s in sizes] == sorted(s.memory for s in sizes)


def test_clients_keep_their_addresses() -> None:
    proxy = made(plan())["EnvoyProxy/edge"].spec["provider"]["kubernetes"]
    assert proxy["envoyService"]["externalTrafficPolicy"] == "Local"
    assert "clientIPDetection" not in made(plan())["ClientTrafficPolicy/edge"].spec, (
        "with nobody in front, a header of the client's own must not count"
    )
    trusted = made(plan(trusted_proxies=["203.0.113.0/24"]))["ClientTrafficPolicy/edge"].spec
    assert trusted["clientIPDetection"] == {"xForwardedFor": {"trustedCIDRs": ["203.0.113.0/24"]}}


def test_the_public_address_is_known_before_anything_exists_and_asked_for_by_name() -> None:
    edge = plan(metallb={"address_ranges": ["198.51.100.0/28", "203.0.113.7-203.0.113.9"]})
    assert edge.address == "198.51.100.1"
    asked = made(edge)["Gateway/edge"].spec["infrastructure"]["annotations"]
    assert asked == {"metallb.io/address-pool": "synapse-platform", "metallb.io/loadBalancerIPs": "198.51.100.1"}
    pool = made(edge)["IPAddressPool/synapse-platform"]
    assert pool.namespace == "metallb-system", "MetalLB reads its objects in its own namespace only"
    assert pool.spec["autoAssign"] is False, "no other Service of the cluster may take our addresses"


def test_without_our_own_proxies_the_pool_serves_whoever_asks() -> None:
    edge = plan(kind="ingress", proxy_namespace="traefik")
    assert made(edge)["IPAddressPool/synapse-platform"].spec["autoAssign"] is True
    assert edge.address is None, "which address the controller's Service gets is not ours to know"


def test_a_route_lies_beside_its_service_and_its_door_admits_no_other_namespace() -> None:
    objects = made(plan(routes=(route(), route("li-admin", namespace="matrix-li"))))
    li = objects["HTTPRoute/li-admin"]
    assert li.namespace == "matrix-li"
    assert li.spec["parentRefs"][0]["namespace"] == "matrix"
    doors = {d["name"]: d["allowedRoutes"]["namespaces"] for d in objects["Gateway/edge"].spec["listeners"]}
    assert doors["homeserver"] == {"from": "Same"}
    assert doors["li-admin"] == {
        "from": "Selector",
        "selector": {"matchLabels": {"kubernetes.io/metadata.name": "matrix-li"}},
    }


def test_hosts_of_administration_are_for_administrators_and_the_homeserver_for_all() -> None:
    objects = made(plan(routes=(route(), route("admin")), administrators=["10.1.0.0/16"]))
    assert "SecurityPolicy/homeserver" not in objects
    rules = objects["SecurityPolicy/admin"].spec["authorization"]
    assert rules["defaultAction"] == "Deny"
    assert rules["rules"][0]["principal"]["clientCIDRs"] == ["10.1.0.0/16"]
    assert "SecurityPolicy/admin" in objects["HTTPRoute/admin"].after, "never open, not even for a second"


def test_an_allow_list_of_its_own_wins_for_a_host() -> None:
    lists = {"homeserver": ["10.2.0.0/16"], "admin": ["10.3.0.0/16"]}
    objects = made(plan(routes=(route(), route("admin")), allow_lists=lists))
    for name, networks in lists.items():
        rule = objects[f"SecurityPolicy/{name}"].spec["authorization"]["rules"][0]
        assert rule["principal"]["clientCIDRs"] == networks


def test_every_door_presents_a_certificate_that_is_made_for_its_host() -> None:
    edge = plan(federation=True, routes=(route(federation=True), route("chat")))
    objects = made(edge)
    for door in objects["Gateway/edge"].spec["listeners"]:
        if door["protocol"] == "HTTPS":
            secret = door["tls"]["certificateRefs"][0]["name"]
            certificate = objects[f"Certificate/{secret}"].spec
            assert certificate["secretName"] == secret
            assert certificate["dnsNames"] == [door["hostname"]]


def test_a_private_authority_keeps_its_key_when_it_renews() -> None:
    objects = made(plan())
    authority = objects["Certificate/edge-ca"].spec
    assert authority["isCA"] and authority["privateKey"]["rotationPolicy"] == "Never", (
        "a new key is a new authority, and every client would have to be told again"
    )
    assert objects["Issuer/edge-private-ca"].spec == {"ca": {"secretName": "edge-ca"}}
    assert objects["Issuer/edge-private-ca"].after == ("Certificate/edge-ca",)


def test_acme_is_proved_through_the_gateways_plain_door_which_is_there_before() -> None:
    edge = plan(tls=ACME)
    objects = made(edge)
    solver = objects["Issuer/edge-acme"].spec["acme"]["solvers"][0]["http01"]["gatewayHTTPRoute"]
    assert solver["parentRefs"][0]["sectionName"] == "http"
    assert "HTTPRoute/redirect-to-https" in objects["Certificate/edge-homeserver-tls"].after
    reached = [f for f in edge.flows if isinstance(f.target, Pods) and f.target.name == "acme-solver"]
    assert [port.number for flow in reached for port in flow.ports] == [8089], "default deny covers the solver as well"


def test_another_source_of_certificates_is_another_issuer_so_that_they_are_issued_anew() -> None:
    names = [
        made(edge)["Certificate/edge-homeserver-tls"].spec["issuerRef"]["name"]
        for edge in (plan(), plan(tls=ACME), plan(tls={"source": "issuer", "issuer": {"name": "corporate"}}))
    ]
    assert len(set(names)) == 3, "cert-manager does not issue anew when only the issuer's content changes"


def test_the_external_accounts_key_stays_in_its_secret() -> None:
    account = {"key_id": "kid-1", "hmac_key": {"secure": "v1:x"}}
    edge = plan(tls={"source": "acme", "acme": {**ACME["acme"], "external_account": account}})
    binding = made(edge)["Issuer/edge-acme"].spec["acme"]["externalAccountBinding"]
    assert binding["keySecretRef"] == {"name": "edge-acme-external-account", "key": "hmac"}
    assert edge.acme_account is not None and set(edge.acme_account.entries) == {"hmac"}


def test_an_ingress_says_host_certificate_and_service_and_has_no_annotation_of_a_controller() -> None:
    edge = plan(federation=True, kind="ingress", ingress_class_name="traefik", proxy_namespace="traefik")
    objects = made(edge)
    ingresses = [m for m in objects.values() if m.kind == "Ingress"]
    assert [m.name for m in ingresses] == ["homeserver"], "plain Ingress knows no port 8448; federation uses 443"
    spec: dict[str, Any] = ingresses[0].spec
    assert spec["ingressClassName"] == "traefik"
    assert spec["tls"] == [{"hosts": ["chat.z3r0d3v.com"], "secretName": "edge-homeserver-tls"}]
    backend = spec["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "synapse-router", "port": {"number": 8008}}
    assert not ingresses[0].annotations
    assert not {m.kind for m in objects.values()} & {"Gateway", "HTTPRoute", "EnvoyProxy"}


def test_another_controller_gets_standard_objects_only() -> None:
    edge = plan(controller="other", gateway_class_name="traefik", proxy_namespace="traefik")
    assert not [m for m in manifests(edge) if m.api.startswith("gateway.envoyproxy.io/")]
    assert "GatewayClass" not in {m.kind for m in manifests(edge)}
    assert not edge.workloads


@pytest.mark.parametrize(
    "edge",
    [plan(federation=True), plan(tls=ACME), plan(kind="ingress", proxy_namespace="p", tls=ACME)],
    ids=["default", "acme", "ingress"],
)
def test_every_object_comes_after_what_it_needs(edge: EdgePlan) -> None:
    seen: set[str] = set()
    for manifest in manifests(edge):
        assert set(manifest.after) <= seen, f"{manifest.key} names what is not declared yet"
        seen.add(manifest.key)


def test_only_the_proxies_may_connect_to_what_is_routed() -> None:
    edge = plan(federation=True)
    proxies = Pods.of("edge-proxies", "envoy-gateway-system", proxy_labels("matrix"))
    into = [f for f in edge.flows if isinstance(f.target, Pods) and f.target != proxies]
    assert [(f.source, [p.number for p in f.ports]) for f in into] == [(proxies, [8008, 8448])]
    others = plan(kind="ingress", proxy_namespace="traefik")
    assert others.proxies == AnyPodIn(name="edge proxies", namespace="traefik"), "their labels are not ours to know"


def test_a_proxy_reaches_the_router_its_controller_and_dns_and_nothing_else() -> None:
    """They face everybody: whoever takes one over must not find the rest of the cluster behind it."""
    edge = plan(federation=True)
    policies = [{"metadata": {"name": p.name, "namespace": p.namespace}, "spec": p.spec} for p in edge.policies]
    proxy = Pod(namespace="envoy-gateway-system", labels=proxy_labels("matrix"))
    controller = Pod(namespace="envoy-gateway-system", labels={"control-plane": "envoy-gateway"})
    router = Pod(namespace="matrix", labels={"app.kubernetes.io/name": "synapse-router"})
    database = Pod(namespace="matrix", labels={"app.kubernetes.io/name": "postgres-main"})
    client = Outside(ip="203.0.113.9")
    for source, target, port, protocol, is_open in (
        (client, proxy, 10443, "TCP", True),
        (client, proxy, 8448, "TCP", True),
        (client, proxy, 19000, "TCP", False),  # Envoy's administration
        (proxy, router, 8008, "TCP", True),
        (proxy, router, 8009, "TCP", False),  # the router's internal listener, with /_synapse/admin
        (proxy, database, 5432, "TCP", False),
        (proxy, client, 443, "TCP", False),
        (proxy, controller, 18000, "TCP", True),
        (proxy, Pod(namespace="kube-system"), 53, "UDP", True),
        (controller, client, 443, "TCP", True),  # the controller is not bound: its namespace is not ours
    ):
        assert may_connect(policies, source, target, port, protocol) is is_open, (source, target, port)


def test_firewall_ports_follow_from_the_doors() -> None:
    assert [rule.port for rule in plan().firewall] == [80, 443]
    assert [rule.port for rule in plan(federation=True).firewall] == [80, 443, 8448]
    assert {rule.to for rule in plan().firewall} == {"198.51.100.10"}


def test_a_person_is_told_the_dns_records_and_how_to_trust_a_private_authority() -> None:
    edge = plan(routes=(route(), route("chat")))
    assert edge.dns == {"chat.z3r0d3v.com": "198.51.100.10", "chat.chat.z3r0d3v.com": "198.51.100.10"}
    assert edge.trust == "kubectl -n matrix get secret edge-ca -o 'jsonpath={.data.ca\\.crt}' | base64 -d"
    assert plan(tls=ACME).trust is None


def test_hosts_are_derived_from_the_server_name_unless_they_are_written() -> None:
    public = hosts(settings(hosts={"chat": "web.z3r0d3v.com"}), platform())
    assert public["homeserver"] == "chat.z3r0d3v.com"
    assert public["chat"] == "web.z3r0d3v.com"
    assert public["li-admin"] == "li-admin.chat.z3r0d3v.com"
