"""From a host name to a pod: routes, listeners, certificates and their issuers lead on to each other."""

from collections.abc import Iterator
from typing import Any

from stack.plan import StackPlan
from stack.resources import Resource
from tests.support.cluster import Cluster
from tests.support.report import none_of


def _backends(resource: Resource) -> Iterator[tuple[str, Any]]:
    """(Service, port) that a route or an Ingress leads to."""
    spec = resource.inputs["spec"]
    if resource.kind == "Ingress":
        for rule in spec.get("rules", ()):
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                yield service["name"], service["port"].get("number", service["port"].get("name"))
    else:
        for rule in spec.get("rules", ()):
            for backend in rule.get("backendRefs", ()):
                yield backend["name"], backend["port"]


def test_routes_lead_to_ports_of_services(cluster: Cluster) -> None:
    bad = []
    found = list(cluster.recording.of_kind("HTTPRoute", "Ingress", "TCPRoute", "TLSRoute"))
    for route in found:
        for name, port in _backends(route):
            service = cluster.get("Service", route.namespace, name)
            ports = {key for p in service.inputs["spec"]["ports"] for key in (p["port"], p["name"])} if service else ()
            if port not in ports:
                bad.append(f"{route}: Service {name} port {port}")
    assert found, "nobody could reach the platform"
    none_of(bad, "the edge would answer 503")


def test_routes_hang_on_listeners_that_exist_and_take_their_host(cluster: Cluster) -> None:
    bad = []
    for route in cluster.recording.of_kind("HTTPRoute"):
        for parent in route.inputs["spec"]["parentRefs"]:
            gateway = cluster.get("Gateway", parent.get("namespace", route.namespace), parent["name"])
            listeners = {x["name"]: x for x in gateway.inputs["spec"]["listeners"]} if gateway else {}
            listener = listeners.get(parent.get("sectionName"))
            if listener is None:
                bad.append(f"{route}: no listener {parent.get('sectionName')} on {parent['name']}")
            elif "hostname" in listener and listener["hostname"] not in route.inputs["spec"].get("hostnames", ()):
                bad.append(f"{route}: listener {listener['name']} takes {listener['hostname']} only")
    none_of(bad, "a route without a listener is never asked")


def test_the_server_name_is_served_with_a_certificate(cluster: Cluster, plan: StackPlan) -> None:
    name = plan.platform.server_name
    served = {
        listener.get("hostname")
        for gateway in cluster.recording.of_kind("Gateway")
        for listener in gateway.inputs["spec"]["listeners"]
        if listener.get("tls")
    } | {host for i in cluster.recording.of_kind("Ingress") for t in i.inputs["spec"]["tls"] for host in t["hosts"]}
    assert name in served, "every client and every other server begins with this host"


def test_certificates_are_there_for_every_host(cluster: Cluster) -> None:
    made = {
        (c.namespace, c.inputs["spec"]["secretName"]): set(c.inputs["spec"].get("dnsNames", ()))
        for c in cluster.recording.of_kind("Certificate")
    }
    bad = []
    wanted: list[tuple[Resource, str, str]] = []
    for gateway in cluster.recording.of_kind("Gateway"):
        for listener in gateway.inputs["spec"]["listeners"]:
            for ref in (listener.get("tls") or {}).get("certificateRefs", ()):
                wanted.append((gateway, ref["name"], listener["hostname"]))
    for ingress in cluster.recording.of_kind("Ingress"):
        for tls in ingress.inputs["spec"].get("tls", ()):
            wanted += [(ingress, tls["secretName"], host) for host in tls["hosts"]]
    for resource, secret, host in wanted:
        if host not in made.get((resource.namespace, secret), ()):
            bad.append(f"{resource}: {secret} is not made for {host}")
    assert wanted, "nothing would be encrypted"
    none_of(bad, "browsers and servers refuse a certificate for another name")


def test_issuers_that_certificates_name_exist(cluster: Cluster) -> None:
    bad = []
    for certificate in cluster.recording.of_kind("Certificate"):
        ref = certificate.inputs["spec"]["issuerRef"]
        namespace = "" if ref.get("kind") == "ClusterIssuer" else certificate.namespace
        if cluster.get(ref.get("kind", "Issuer"), namespace, ref["name"]) is None:
            bad.append(f"{certificate}: {ref}")
    none_of(bad, "nobody would sign")


def test_port_8448_is_open_exactly_with_federation(cluster: Cluster, plan: StackPlan) -> None:
    ports = {x["port"] for g in cluster.recording.of_kind("Gateway") for x in g.inputs["spec"]["listeners"]}
    assert (8448 in ports) == (plan.platform.federation and bool(ports)), "one switch for all of federation"
