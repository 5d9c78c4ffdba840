"""Every host, address, certificate and limit of the edge, decided.

Decided here: each route lies in the namespace of its Service, and its listener admits that namespace only. The
alternative, all routes beside the Gateway with a ReferenceGrant in each namespace, lets whoever may write routes there
publish any Service of a granting namespace.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from components.edge.addresses import parse
from components.edge.settings import EdgeSettings, HostName, TlsSettings
from components.operators.plan import OperatorsPlan
from kube.context import Platform
from kube.flows import Addresses, AnyPodIn, Flow, Pods, Policy, Port, guest_policies
from kube.pod import Resources, Spread, Workload
from kube.quantity import MI
from kube.secrets import FromConfig, SecretObject

NAME = "edge"
CA = "edge-ca"
GATEWAY_CLASS = "synapse-platform"
HTTP, HTTPS, FEDERATION = 80, 443, 8448

LOAD_BALANCERS = 1
"""Services of type LoadBalancer that the platform makes: the Gateway's. Calls use the nodes' own addresses."""

HOST_NAMES: tuple[HostName, ...] = (
    "homeserver",
    "chat",
    "admin",
    "li",
    "li-chat",
    "li-admin",
    "turn",
    "rtc",
    "grafana",
)
ADMINISTRATIVE: frozenset[HostName] = frozenset({"admin", "li", "li-chat", "li-admin", "grafana"})
"""Hosts for `edge.administrators` only, unless an allow-list of their own says otherwise."""

CONNECTION_BYTES = 32 * 1024
"""Memory of an idle long poll in Envoy: TLS state on one side, HTTP state and small buffers on both."""
BASE_BYTES = 128 * MI
SHUTDOWN_MANAGER = Resources(cpu=10, memory=32 * MI, memory_limit=64 * MI)
"""Envoy Gateway's own sidecar of every proxy; requests are upstream's."""

CONTROLLER_PORTS = (Port(18000, end=18002),)
"""Envoy Gateway's own: configuration (xDS), rate limit service, Wasm modules."""

ACME_SOLVER = {"acme.cert-manager.io/http01-solver": "true"}
ACME_SOLVER_PORT = 8089


@dataclass(frozen=True, kw_only=True)
class HostRoute:
    """One public host and the Service behind it. A system that wants a host makes one of these in its plan.

    `name` is the purpose: `hosts()` knows the host, and `edge.allow_lists` who may open it. `port` is the Service's;
    `pods` are the pods behind it and `target_port` theirs (the same when None): proxies connect to pods directly.
    `federation_port` and `federation_target_port` likewise for what arrives on 8448; None where nothing does.
    """

    name: HostName
    service: str
    namespace: str
    port: int
    pods: Pods
    why: str
    target_port: int | None = None
    federation_port: int | None = None
    federation_target_port: int | None = None

    def ports(self, kind: str) -> tuple[Port, ...]:
        """Ports of the pods that proxies connect to; plain Ingress knows no door for federation."""
        ports = [Port(self.target_port or self.port)]
        if self.federation_port and kind == "gateway":
            ports.append(Port(self.federation_target_port or self.federation_port))
        return tuple(dict.fromkeys(ports))


@dataclass(frozen=True, kw_only=True)
class Listener:
    """One door of the Gateway: a port for a host, and the one namespace that may attach a route to it."""

    name: str
    port: int
    host: str | None
    namespace: str
    secret: str | None


@dataclass(frozen=True, kw_only=True)
class Route:
    """From a listener to a Service. `allow`: client addresses that may use it; empty: everybody."""

    name: str
    listener: Listener
    host: str
    service: str
    namespace: str
    port: int
    allow: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"https://{self.host}" + ("" if self.listener.port == HTTPS else f":{self.listener.port}")


@dataclass(frozen=True, kw_only=True)
class CertificatePlan:
    """One certificate of a public host, beside whoever presents it."""

    name: str
    namespace: str
    host: str


@dataclass(frozen=True, kw_only=True)
class AddressPool:
    """MetalLB's pool in MetalLB's own namespace. `shared`: also for Services that do not ask for it by name."""

    namespace: str
    ranges: tuple[str, ...]
    interfaces: tuple[str, ...]
    shared: bool


@dataclass(frozen=True, kw_only=True)
class ProxyPlan:
    """Envoy's pods. Each of them must carry `connections` alone: MetalLB leads all clients to one node."""

    workload: Workload
    threads: int
    connections: int


@dataclass(frozen=True, kw_only=True)
class FirewallRule:
    """One opening that the site's firewall needs, from clients to us."""

    port: int
    protocol: str
    to: str
    why: str


@dataclass(frozen=True, kw_only=True)
class EdgePlan:
    """The edge as it is declared, and as others ask about it."""

    namespace: str
    kind: str
    gateway_class: str
    makes_class: bool
    ingress_class: str | None
    proxy: ProxyPlan | None
    proxies: AnyPodIn | Pods
    policies: tuple[Policy, ...]
    address: str | None
    pool: AddressPool | None
    hosts: Mapping[HostName, str]
    redirect: Listener
    routes: tuple[Route, ...]
    certificates: tuple[CertificatePlan, ...]
    tls: TlsSettings
    acme_account: SecretObject | None
    trusted_proxies: tuple[str, ...]
    flows: tuple[Flow, ...]
    needs: frozenset[str]

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Proxies that Envoy Gateway makes for our Gateway: not declared by us, but placed on our nodes."""
        return (self.proxy.workload,) if self.proxy else ()

    @property
    def issuer(self) -> str:
        """Issuer of ours. Named by what it is: cert-manager issues anew when the name changes, and only then."""
        return f"{NAME}-{self.tls.source.replace('_', '-')}"

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return (self.redirect, *(route.listener for route in self.routes))

    @property
    def endpoints(self) -> dict[str, str]:
        """Public URL by route."""
        return {route.name: route.url for route in self.routes}

    @property
    def dns(self) -> dict[str, str]:
        """Records that the site's DNS needs: public host -> address."""
        to = self.address or "the edge's public address"
        return {route.host: to for route in self.routes}

    @property
    def trust(self) -> str | None:
        """Command that prints the private authority's certificate, which every client must be told to trust."""
        if self.tls.source != "private_ca":
            return None
        return f"kubectl -n {self.namespace} get secret {CA} -o 'jsonpath={{.data.ca\\.crt}}' | base64 -d"

    @property
    def firewall(self) -> tuple[FirewallRule, ...]:
        """What clients (and other servers, with federation) must be able to reach."""
        to = self.address or "the edge's public address"
        why = {
            HTTP: "redirects to https" + (", and ACME challenges" if self.tls.source == "acme" else ""),
            HTTPS: "clients",
            FEDERATION: "other servers",
        }
        ports = sorted({listener.port for listener in self.listeners})
        return tuple(FirewallRule(port=port, protocol="TCP", to=to, why=why[port]) for port in ports)


def proxy_labels(gateway_namespace: str) -> dict[str, str]:
    """Labels that Envoy Gateway puts on the proxies of our Gateway."""
    return {
        "gateway.envoyproxy.io/owning-gateway-name": NAME,
        "gateway.envoyproxy.io/owning-gateway-namespace": gateway_namespace,
    }


def hosts(settings: EdgeSettings, platform: Platform) -> dict[HostName, str]:
    """Public host of every purpose, whether it is routed yet or not. Other plans name URLs by this."""
    given: Mapping[HostName, str] = settings.hosts
    return {
        name: platform.server_name if name == "homeserver" else given.get(name, f"{name}.{platform.server_name}")
        for name in HOST_NAMES
    }


def needs(settings: EdgeSettings) -> frozenset[str]:
    """Keys of the operators whose custom resources the edge has."""
    wanted = {
        "envoy_gateway": settings.kind == "gateway" and settings.controller == "envoy",
        "metallb": settings.metallb.enabled,
        "cert_manager": settings.tls.source != "secret",
    }
    return frozenset(key for key, needed in wanted.items() if needed)


def _proxy(settings: EdgeSettings, platform: Platform, namespace: str) -> ProxyPlan:
    # Each user online holds one long poll and makes one more request now and then: the router counts alike.
    connections = 2_000 + 2 * platform.concurrent_users
    memory = BASE_BYTES + CONNECTION_BYTES * connections
    # 100 millicores for every 1,000 users: some 500 requests a second, a tenth of what a core of Envoy does with TLS.
    cpu = 250 + platform.concurrent_users // 10
    resources = (
        settings.resources.resolved()
        if settings.resources
        else Resources(cpu=cpu, memory=memory, memory_limit=2 * memory)
    )
    return ProxyPlan(
        workload=Workload(
            name=NAME,
            namespace=namespace,
            component="edge-proxy",
            pool="application",
            replicas=settings.replicas,
            resources=resources,
            sidecars=(SHUTDOWN_MANAGER,),
            spread=Spread.REQUIRE,
        ),
        # Envoy starts one thread for each core of the node otherwise: 32 of them for a request of two cores.
        threads=max(2, -(-resources.cpu // 500)),
        connections=connections,
    )


def _routes(
    settings: EdgeSettings, platform: Platform, wanted: Iterable[HostRoute], public: Mapping[HostName, str]
) -> Iterable[Route]:
    allow_lists: Mapping[HostName, tuple[str, ...]] = settings.allow_lists
    for route in wanted:
        default = settings.administrators if route.name in ADMINISTRATIVE else ()
        allow = allow_lists.get(route.name, default)
        secret = settings.tls.secret or f"{NAME}-{route.name}-tls"
        doors = [("", HTTPS, route.port)]
        if route.federation_port and settings.kind == "gateway":
            doors.append(("-federation", FEDERATION, route.federation_port))
        for suffix, port, service_port in doors:
            name = f"{route.name}{suffix}"
            host = public[route.name]
            yield Route(
                name=name,
                listener=Listener(name=name, port=port, host=host, namespace=route.namespace, secret=secret),
                host=host,
                service=route.service,
                namespace=route.namespace,
                port=service_port,
                allow=allow,
            )


def _pod_port(port: int, envoy: bool) -> int:
    """Envoy Gateway moves privileged ports by 10,000, so that its proxies need no capability."""
    return port + 10_000 if envoy and port < 1024 else port


def _proxies(settings: EdgeSettings, platform: Platform, namespace: str) -> AnyPodIn | Pods:
    """Pods that carry the traffic: by label where they are our own Gateway's, else all of their namespace."""
    if settings.kind == "gateway" and settings.controller == "envoy":
        return Pods.of("edge-proxies", namespace, proxy_labels(platform.namespace))
    return AnyPodIn(name="edge proxies", namespace=namespace)


def _flows(
    settings: EdgeSettings, platform: Platform, wanted: Iterable[HostRoute], proxies: AnyPodIn | Pods
) -> list[Flow]:
    flows = [Flow(source=proxies, target=r.pods, ports=r.ports(settings.kind), why=r.why) for r in wanted]
    envoy = settings.kind == "gateway" and settings.controller == "envoy"
    doors = tuple(Port(_pod_port(port, envoy)) for port in (HTTP, HTTPS))
    clients = Addresses(name="clients", everything=True)
    flows.append(Flow(source=clients, target=proxies, ports=doors, why="all that clients ask for"))
    if isinstance(proxies, Pods):
        controller = AnyPodIn(name="envoy-gateway", namespace=proxies.namespace)
        flows.append(Flow(source=proxies, target=controller, ports=CONTROLLER_PORTS, why="their configuration"))
    if settings.kind == "gateway" and any(r.federation_port for r in wanted):
        others, door = Addresses(name="other homeservers", everything=True), (Port(FEDERATION),)
        flows.append(Flow(source=others, target=proxies, ports=door, why="federation"))
    if settings.tls.source == "acme":
        solver = Pods.of("acme-solver", platform.namespace, ACME_SOLVER)
        why = "the ACME service asks for the proof"
        flows.append(Flow(source=proxies, target=solver, ports=(Port(ACME_SOLVER_PORT),), why=why))
    return flows


def make_plan(
    settings: EdgeSettings, platform: Platform, operators: OperatorsPlan, routes: Iterable[HostRoute]
) -> EdgePlan:
    """Decide the edge. `routes`: the public hosts of every system that wants one."""
    wanted = tuple(routes)
    envoy = settings.kind == "gateway" and settings.controller == "envoy"
    proxy_namespace = settings.proxy_namespace or operators.namespace("envoy_gateway")
    proxies = _proxies(settings, platform, proxy_namespace)
    flows = _flows(settings, platform, wanted, proxies)
    public = hosts(settings, platform)
    made = tuple(_routes(settings, platform, wanted, public))
    pool = None
    if settings.metallb.enabled:
        pool = AddressPool(
            namespace=operators.namespace("metallb"),
            ranges=settings.metallb.address_ranges,
            interfaces=settings.metallb.interfaces,
            shared=not envoy,  # whether another controller's Service asks for a pool by name is not ours to say
        )
    # Known before anything exists, so that DNS can be prepared; only our own Gateway asks for an address by name.
    address = parse(pool.ranges[0]).pick() if pool and pool.ranges and envoy else None
    account = settings.tls.acme.external_account if settings.tls.acme else None
    certificates = {
        r.host: CertificatePlan(
            name=r.listener.secret or "",
            namespace=platform.namespace if settings.kind == "gateway" else r.namespace,
            host=r.host,
        )
        for r in made
        if settings.tls.source != "secret"
    }
    return EdgePlan(
        namespace=platform.namespace,
        kind=settings.kind,
        gateway_class=settings.gateway_class_name or GATEWAY_CLASS,
        makes_class=envoy and settings.gateway_class_name is None,
        ingress_class=settings.ingress_class_name,
        proxy=_proxy(settings, platform, proxy_namespace) if envoy else None,
        proxies=proxies,
        # The proxies face everybody: whoever takes one over must not find the rest of the cluster behind it.
        policies=tuple(guest_policies(flows, proxy_namespace)) if isinstance(proxies, Pods) else (),
        address=str(address) if address else None,
        pool=pool,
        hosts=public,
        redirect=Listener(name="http", port=HTTP, host=None, namespace=platform.namespace, secret=None),
        routes=made,
        certificates=tuple(certificates.values()),
        tls=settings.tls,
        acme_account=SecretObject(
            name="edge-acme-external-account",
            namespace=platform.namespace,
            entries={"hmac": FromConfig(path="edge.tls.acme.external_account.hmac_key")},
        )
        if account
        else None,
        trusted_proxies=settings.trusted_proxies,
        flows=tuple(flows),
        needs=needs(settings),
    )
