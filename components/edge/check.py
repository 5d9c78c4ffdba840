"""Rules of the edge beyond one field. Paths are key paths below `matrix:stack`."""

from collections.abc import Iterator

from components.edge.addresses import parse
from components.edge.plan import LOAD_BALANCERS, HostRoute, hosts
from components.edge.settings import EdgeSettings
from kube.context import Platform
from kube.errors import Problem


def check(
    settings: EdgeSettings, platform: Platform, routes: tuple[HostRoute, ...], *, router_hops: int
) -> list[Problem]:
    """Every broken rule. `router_hops`: how many proxies the router expects to have appended X-Forwarded-For."""
    return [
        *_hosts(settings, platform),
        *_addresses(settings),
        *_kind(settings),
        *_foreign_namespaces(settings, platform, routes),
        *_hops(settings, router_hops),
    ]


def _hosts(settings: EdgeSettings, platform: Platform) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name, host in hosts(settings, platform).items():
        first = seen.setdefault(host, name)
        if first != name:
            # Name the entry that a person wrote: the derived one cannot be edited.
            key = name if name in settings.hosts else first
            other = first if key == name else name
            owner = "server_name" if other == "homeserver" else f"the host for {other}"
            rule = f"is {owner} already; every purpose needs a host of its own"
            yield Problem(path=f"edge.hosts.{key}", rule=rule, value=host)


def _addresses(settings: EdgeSettings) -> Iterator[Problem]:
    path = "edge.metallb.address_ranges"
    given = settings.metallb.address_ranges
    if not settings.metallb.enabled:
        if given:
            rule = "has no meaning while edge.metallb.enabled is false; remove it or enable MetalLB"
            yield Problem(path=path, rule=rule, value=list(given))
        return
    if not given:
        rule = (
            "is empty: MetalLB needs free addresses of the nodes' network, such as 198.51.100.10-198.51.100.20; "
            "where something else gives addresses, set edge.metallb.enabled: false"
        )
        yield Problem(path=path, rule=rule)
        return
    ranges = [parse(text) for text in given]
    for index, mine in enumerate(ranges):
        for before in range(index):
            if mine.overlaps(ranges[before]):
                yield Problem(path=f"{path}[{index}]", rule=f"overlaps {path}[{before}]", value=given[index])
    usable = sum(r.usable for r in ranges)
    if usable < LOAD_BALANCERS:
        rule = (
            f"is too small: {usable} usable addresses (those that end in .0 or .255 are not used), and the platform "
            f"needs {LOAD_BALANCERS}, one for each Service of type LoadBalancer"
        )
        yield Problem(path=path, rule=rule, value=list(given))
    elif settings.kind == "gateway" and ranges[0].pick() is None:
        rule = "has no usable address (those that end in .0 or .255 are not used), and its lowest is the public one"
        yield Problem(path=f"{path}[0]", rule=rule, value=given[0])


def _kind(settings: EdgeSettings) -> Iterator[Problem]:
    envoy = settings.kind == "gateway" and settings.controller == "envoy"
    if settings.kind == "ingress" and settings.gateway_class_name:
        rule = "has no meaning with edge.kind: ingress; remove it"
        yield Problem(path="edge.gateway_class_name", rule=rule, value=settings.gateway_class_name)
    if settings.kind == "gateway" and settings.ingress_class_name:
        rule = "has no meaning with edge.kind: gateway; remove it"
        yield Problem(path="edge.ingress_class_name", rule=rule, value=settings.ingress_class_name)
    if settings.kind == "gateway" and settings.controller == "other" and not settings.gateway_class_name:
        yield Problem(path="edge.gateway_class_name", rule="is missing: controller other needs its own GatewayClass")
    if not envoy and not settings.proxy_namespace:
        rule = "is missing: which namespace's pods carry the traffic? Only they may connect to the router"
        yield Problem(path="edge.proxy_namespace", rule=rule)
    if not envoy and settings.allow_lists:
        rule = "cannot be enforced: neither plain Ingress nor the standard Gateway API can restrict clients by address"
        yield Problem(path="edge.allow_lists", rule=rule, value=sorted(settings.allow_lists))


def _foreign_namespaces(settings: EdgeSettings, platform: Platform, routes: tuple[HostRoute, ...]) -> Iterator[Problem]:
    cluster_wide = settings.tls.issuer is not None and settings.tls.issuer.kind == "ClusterIssuer"
    if settings.kind != "ingress" or settings.tls.source == "secret" or cluster_wide:
        return
    foreign = sorted({r.namespace for r in routes} - {platform.namespace})
    if foreign:
        rule = (
            f"cannot issue into {', '.join(foreign)}, where an Ingress needs its certificate: use edge.kind: gateway, "
            "or source: issuer with a ClusterIssuer"
        )
        yield Problem(path="edge.tls.source", rule=rule, value=settings.tls.source)


def _hops(settings: EdgeSettings, router_hops: int) -> Iterator[Problem]:
    if settings.trusted_proxies and router_hops < 2:
        rule = (
            "names proxies in front of the edge, so the router must look past the edge for a client's address: "
            f"synapse.router.trusted_hops must be at least 2, and is {router_hops}"
        )
        yield Problem(path="edge.trusted_proxies", rule=rule, value=list(settings.trusted_proxies))
