"""The edge's Kubernetes objects, rendered: plan -> plain data. Nothing here knows Pulumi."""

from collections.abc import Iterator

from components.edge.certificates import certificates, issuers
from components.edge.envoy import ENVOY_CONTROLLER, allow_list, envoy
from components.edge.manifest import ACCEPTED, GATEWAY_API, METALLB_API, POOL_NAME, REDIRECT, Manifest, Spec
from components.edge.plan import NAME, EdgePlan, Listener, Route


def manifests(plan: EdgePlan) -> list[Manifest]:
    """Everything of the edge, each after what it needs."""
    made = [*_addresses(plan), *issuers(plan)]
    if plan.kind == "ingress":
        made += [_ingress(plan, route) for route in plan.routes]
    else:
        made += _gateway(plan)
    return [*made, *certificates(plan)]


def _addresses(plan: EdgePlan) -> Iterator[Manifest]:
    """MetalLB's own objects; it reports nothing that could be waited for."""
    pool = plan.pool
    if pool is None:
        return
    spec = {"addresses": list(pool.ranges), "autoAssign": pool.shared, "avoidBuggyIPs": True}
    yield Manifest(api=METALLB_API, kind="IPAddressPool", name=POOL_NAME, namespace=pool.namespace, spec=spec)
    advertisement: Spec = {"ipAddressPools": [POOL_NAME]}
    if pool.interfaces:
        advertisement["interfaces"] = list(pool.interfaces)
    yield Manifest(
        api=METALLB_API,
        kind="L2Advertisement",
        name=POOL_NAME,
        namespace=pool.namespace,
        spec=advertisement,
        after=(f"IPAddressPool/{POOL_NAME}",),
    )


# ---- Gateway API -----------------------------------------------------------------------------------------------------


def _gateway(plan: EdgePlan) -> Iterator[Manifest]:
    before: list[str] = ["IPAddressPool/" + POOL_NAME, "L2Advertisement/" + POOL_NAME] if plan.pool else []
    if plan.makes_class:
        yield Manifest(
            api=GATEWAY_API,
            kind="GatewayClass",
            name=plan.gateway_class,
            namespace=None,
            spec={"controllerName": ENVOY_CONTROLLER, "description": "Envoy Gateway for the Matrix platform."},
            wait="condition=Accepted",
        )
        before.append(f"GatewayClass/{plan.gateway_class}")
    if plan.proxy:
        # Before the Gateway, so that no proxy ever runs with the defaults that these replace.
        for manifest in envoy(plan, plan.proxy):
            before.append(manifest.key)
            yield manifest
    yield Manifest(
        api=GATEWAY_API,
        kind="Gateway",
        name=NAME,
        namespace=plan.namespace,
        spec=_gateway_spec(plan),
        wait="condition=Programmed",
        timeout_seconds=600,
        after=tuple(before),
    )
    yield Manifest(
        api=GATEWAY_API,
        kind="HTTPRoute",
        name=REDIRECT,
        namespace=plan.namespace,
        spec={
            "parentRefs": [_parent(plan, plan.redirect, plan.namespace)],
            "rules": [
                {"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}]}
            ],
        },
        wait=ACCEPTED,
        after=(f"Gateway/{NAME}",),
    )
    for route in plan.routes:
        after = [f"Gateway/{NAME}"]
        if route.allow:
            yield allow_list(route)
            after.append(f"SecurityPolicy/{route.name}")
        yield Manifest(
            api=GATEWAY_API,
            kind="HTTPRoute",
            name=route.name,
            namespace=route.namespace,
            spec={
                "parentRefs": [_parent(plan, route.listener, route.namespace)],
                "hostnames": [route.host],
                "rules": [
                    {
                        "backendRefs": [{"name": route.service, "port": route.port}],
                        # Long polls and websockets end when client or server say so.
                        "timeouts": {"request": "0s"},
                    }
                ],
            },
            wait=ACCEPTED,
            after=tuple(after),
        )


def _parent(plan: EdgePlan, listener: Listener, namespace: str) -> Spec:
    parent: Spec = {"name": NAME, "sectionName": listener.name}
    if namespace != plan.namespace:
        parent["namespace"] = plan.namespace
    return parent


def _gateway_spec(plan: EdgePlan) -> Spec:
    spec: Spec = {
        "gatewayClassName": plan.gateway_class,
        "listeners": [_listener(plan, listener) for listener in plan.listeners],
    }
    infrastructure: Spec = {}
    if plan.pool and not plan.pool.shared:
        annotations = {"metallb.io/address-pool": POOL_NAME}
        if plan.address:
            annotations["metallb.io/loadBalancerIPs"] = plan.address
        infrastructure["annotations"] = annotations
    if plan.proxy:
        infrastructure["parametersRef"] = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": NAME}
    if infrastructure:
        spec["infrastructure"] = infrastructure
    return spec


def _listener(plan: EdgePlan, listener: Listener) -> Spec:
    namespaces: Spec = {"from": "Same"}
    if listener.namespace != plan.namespace:
        selector = {"matchLabels": {"kubernetes.io/metadata.name": listener.namespace}}
        namespaces = {"from": "Selector", "selector": selector}
    result: Spec = {
        "name": listener.name,
        "port": listener.port,
        "protocol": "HTTPS" if listener.secret else "HTTP",
        "allowedRoutes": {"namespaces": namespaces, "kinds": [{"kind": "HTTPRoute"}]},
    }
    if listener.host:
        result["hostname"] = listener.host
    if listener.secret:
        result["tls"] = {"mode": "Terminate", "certificateRefs": [{"name": listener.secret}]}
    return result


# ---- Ingress ---------------------------------------------------------------------------------------------------------


def _ingress(plan: EdgePlan, route: Route) -> Manifest:
    backend = {"service": {"name": route.service, "port": {"number": route.port}}}
    spec: Spec = {
        "tls": [{"hosts": [route.host], "secretName": route.listener.secret}],
        "rules": [{"host": route.host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
    }
    if plan.ingress_class:
        spec["ingressClassName"] = plan.ingress_class
    return Manifest(api="networking.k8s.io/v1", kind="Ingress", name=route.name, namespace=route.namespace, spec=spec)
