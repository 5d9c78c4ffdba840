"""The router's files: haproxy.cfg, its maps, error responses and well-known documents."""

from components.router.backends import backends
from components.router.endpoints import ALL
from components.router.frontends import LIMITED_PATHS, frontends
from components.router.layout import Layout
from components.router.maps import federation_map, internal_map, map_file, public_map
from components.router.plan import RouterPlan
from components.router.responses import SECTION, error_files, http_errors, well_known_files
from kube.files import ConfigFiles

POD = Layout()

HOT_BYTES = 4 * 2**20
"""Per thread."""


def _resolvers(layout: Layout) -> str:
    given = [f"nameserver dns{i} {address}" for i, address in enumerate(layout.nameservers)]
    servers = "".join(f"    {line}\n" for line in given or ["parse-resolv-conf"])
    return f"""
resolvers cluster
{servers}\
    accepted_payload_size 8192
    resolve_retries 2
    # Two questions in five seconds for each slot; the cluster's DNS caches for five seconds itself.
    timeout resolve 2s
    timeout retry 500ms
    hold valid 2s
    # A pod that is gone has no name: its server goes at once. An outage of DNS itself must not empty the pools.
    hold nx 3s
    hold obsolete 3s
    hold timeout 600s
    hold refused 600s
    hold other 600s
"""


def haproxy_cfg(plan: RouterPlan, layout: Layout = POD) -> str:
    """haproxy.cfg. It runs in the foreground without a master: a changed file is a new pod."""
    return f"""\
global
    maxconn {plan.max_connections}
    nbthread {plan.threads}
    log stdout format raw local0 info
    # Freed buffers that a thread keeps for itself. The default (512 kB) is thirty requests, and going to the
    # allocator for the next one costs a tenth of the throughput.
    tune.memory.hot-size {HOT_BYTES}
    hard-stop-after {plan.drain_seconds}s
    # Idle connections of a stopping router are closed over this time, not all at once.
    close-spread-time {min(plan.drain_seconds, 30)}s
    # Health checks of many servers must not all fall on the same moment.
    spread-checks 10
    set-var proc.started date

{http_errors(layout.errors_dir)}
defaults
    mode http
    log global
    errorfiles {SECTION}
    option dontlognull
    # A connection that fails is tried on another server at once. What has reached a process is never sent again: for
    # a GET it could be, but keeping every request until its answer begins costs a fifth of the throughput, and a
    # client whose /sync gets 502 asks again by itself. A request that waits on a process whose node has vanished
    # gets no sign of it: keep-alive probes find out after 11 s.
    option redispatch 1
    retries 3
    retry-on conn-failure
    option srvtcpka
    srvtcpka-idle 5s
    srvtcpka-intvl 2s
    srvtcpka-cnt 3
    http-reuse aggressive
    # One repeated SYN (after 1 s) must fit: Synapse's accept queue is short, and a full one drops SYNs.
    timeout connect 2s
    timeout client 60s
    timeout http-request 10s
    timeout http-keep-alive 65s
    timeout queue 30s
    timeout server 120s
    timeout check 2s
    option httpchk GET /health
    # A failed connection makes the next health check come at once, and two failed checks take the server out: less
    # than a second for a process that died. The check decides, not the connection: a burst that overflows an accept
    # queue must not take a living process out. There is no `on-marked-down shutdown-sessions`: it would also cut the
    # very requests that are being tried again elsewhere.
    default-server inter 1s fastinter 300ms downinter 1s fall 2 rise 2 init-addr none resolvers cluster \
resolve-prefer ipv4
{_resolvers(layout)}{frontends(plan, layout)}{backends(plan, layout)}"""


def maps(plan: RouterPlan) -> dict[str, str]:
    """Map file name -> text. One for each listener, and the paths that are limited by address."""
    pools = [pool.pool for pool in plan.pools]
    result = {
        "public.map": map_file(public_map(pools, plan.federation)),
        "internal.map": map_file(internal_map(pools, plan.federation)),
        "limited.map": map_file({f"{prefix}/{path}": "1" for prefix in ALL for path in LIMITED_PATHS}),
    }
    return result | ({"federation.map": map_file(federation_map(pools))} if plan.federation else {})


def config_files(plan: RouterPlan) -> ConfigFiles:
    """haproxy.cfg, maps and well-known documents."""
    data = {"haproxy.cfg": haproxy_cfg(plan), **maps(plan), **well_known_files(plan)}
    return ConfigFiles(base=plan.name, namespace=plan.namespace, data=data)


def errors(plan: RouterPlan) -> ConfigFiles:
    """Error responses: a ConfigMap of their own, since they end their lines as HTTP does."""
    return ConfigFiles(base=f"{plan.name}-errors", namespace=plan.namespace, data=error_files())
