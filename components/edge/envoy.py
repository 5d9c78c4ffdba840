"""What Envoy Gateway is told beyond the standard: Matrix breaks with several of Envoy's defaults."""

from collections.abc import Iterator

from components.edge.manifest import ENVOY_API, Manifest, Spec
from components.edge.plan import NAME, EdgePlan, ProxyPlan, Route, proxy_labels
from kube.names import POOL_LABEL
from kube.pod import pool_tolerations

ENVOY_CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"


def envoy(plan: EdgePlan, proxy: ProxyPlan) -> Iterator[Manifest]:
    """Size and place of the proxies, and what they do differently for Matrix."""

    def policy(kind: str, spec: Spec) -> Manifest:
        return Manifest(api=ENVOY_API, kind=kind, name=NAME, namespace=plan.namespace, spec=spec)

    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": NAME}
    yield policy("EnvoyProxy", _envoy_proxy(plan, proxy))
    yield policy("ClientTrafficPolicy", {"targetRefs": [gateway], **_client_side(plan)})
    limit = proxy.connections
    yield policy(
        "BackendTrafficPolicy",
        {
            "targetRefs": [gateway],
            # Envoy's own default is 1,024 of each: as many users, and everybody else gets 503.
            "circuitBreaker": {
                "maxConnections": limit,
                "maxParallelRequests": limit,
                "maxPendingRequests": limit,
            },
            # The router sits behind a Service in the same cluster: a pod that does not answer in this time is gone.
            "timeout": {"tcp": {"connectTimeout": "3s"}},
            "tcpKeepalive": {"idleTime": "60s", "interval": "20s", "probes": 3},
        },
    )


def _envoy_proxy(plan: EdgePlan, proxy: ProxyPlan) -> Spec:
    workload = proxy.workload
    owned = proxy_labels(plan.namespace)
    kubernetes: Spec = {
        "envoyDeployment": {
            "replicas": workload.replicas,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
            "container": {"resources": workload.resources.spec()},
            "pod": {
                "nodeSelector": {POOL_LABEL: workload.pool},
                "tolerations": pool_tolerations(workload.pool),
                # Only a node with a proxy of its own answers for the address: two on one node are worth one.
                "affinity": {
                    "podAntiAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [
                            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": owned}}
                        ]
                    }
                },
            },
        },
        "envoyPDB": {"maxUnavailable": 1},
        # Local keeps the clients' addresses, which rate limits, allow-lists and the audit trail live on.
        "envoyService": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
    }
    return {
        "concurrency": proxy.threads,
        "provider": {"type": "Kubernetes", "kubernetes": kubernetes},
        # A long poll takes 30 s; whoever is still there after a minute is a websocket and reconnects.
        "shutdown": {"drainTimeout": "60s", "minDrainDuration": "10s"},
    }


def _client_side(plan: EdgePlan) -> Spec:
    spec: Spec = {
        # Room ids, state keys and media names carry encoded and doubled slashes: passed on as they came. The default
        # redirects them to another path, and such events can then be neither sent nor read.
        "path": {"disableMergeSlashes": True, "escapedSlashesAction": "KeepUnchanged"},
        "tls": {"minVersion": "1.2"},
        "tcpKeepalive": {"idleTime": "60s", "interval": "20s", "probes": 3},
        # Uploads over slow lines may take long; a client that never finishes its headers may not.
        "timeout": {"http": {"requestReceivedTimeout": "0s", "requestHeadersReceivedTimeout": "30s"}},
    }
    if plan.trusted_proxies:
        spec["clientIPDetection"] = {"xForwardedFor": {"trustedCIDRs": list(plan.trusted_proxies)}}
    return spec


def allow_list(route: Route) -> Manifest:
    """Everybody else gets 403 from the proxy; the Service never hears of them."""
    return Manifest(
        api=ENVOY_API,
        kind="SecurityPolicy",
        name=route.name,
        namespace=route.namespace,
        spec={
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route.name}],
            "authorization": {
                "defaultAction": "Deny",
                "rules": [{"name": "allow-list", "action": "Allow", "principal": {"clientCIDRs": list(route.allow)}}],
            },
        },
    )
