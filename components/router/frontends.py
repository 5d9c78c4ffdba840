"""Listeners: what a request may reach, whose it is, how much it may ask, and which pool it goes to."""

from components.router.layout import Layout
from components.router.maps import METHODS, Area
from components.router.plan import (
    FEDERATION_PORT,
    HEALTH_PORT,
    INTERNAL_PORT,
    MAX_REQUEST_BYTES,
    METRICS_PORT,
    PUBLIC_PORT,
    RouterPlan,
)
from components.router.pools import Pool
from components.router.responses import SECTION, headers
from components.router.settings import RateLimit

LIMIT_ENTRIES = 100_000
"""Keys remembered by each rate limit table; the oldest goes first. About 100 bytes each."""

# The path without its query, and never a header: no token can be in a log line.
LOG_FORMAT = (
    "%{+json}o %(time)[accept_date(ms),ms_utime(%Y-%m-%dT%H:%M:%S.%3NZ)] %(client)ci %(listener)f %(pool)b %(server)s "
    "%(method)HM %(path)[var(txn.log_path)] %(status:sint)ST %(bytes:sint)B %(wait_ms:sint)Tw %(connect_ms:sint)Tc "
    "%(response_ms:sint)Tr %(total_ms:sint)Ta %(ended)ts %(retries:str)rc %(pool_connections:sint)bc %(queue:sint)bq"
)

STARTUP_SECONDS = 20
"""How long a starting router waits for every pool to have a process before it serves with what there is."""


def _return(status: int, condition: str = "") -> str:
    """An answer of our own, with the error's JSON body."""
    return f"http-request return status {status} errorfiles {SECTION} {condition}".rstrip()


def _networks(networks: tuple[str, ...]) -> str:
    return " ".join(networks)


def _addresses(plan: RouterPlan) -> str:
    """Whose request it is. X-Forwarded-* of a trusted proxy counts; anybody else's is thrown away.

    Synapse believes the first address of X-Forwarded-For, so it must get exactly one: the client's.
    """
    return f"""\
    acl from_proxy src {_networks(plan.trusted_proxies)}
    http-request set-header X-Forwarded-Proto https unless from_proxy {{ req.hdr(x-forwarded-proto) -m str http }}
    http-request set-src req.hdr_ip(x-forwarded-for,-{plan.trusted_hops}) if from_proxy
    http-request set-header X-Forwarded-For %[src]
    http-request del-header Forwarded
    http-request del-header X-Real-IP
    http-request del-header X-Forwarded-Host
"""


def _preflight() -> str:
    """OPTIONS never costs a Synapse process anything."""
    return f"    http-request return status 204 {headers()} if METH_OPTIONS\n"


def _limit(table: str, limit: RateLimit, counter: int, key: str, condition: str) -> str:
    return f"""\
    http-request track-sc{counter} {key} table {table} if {condition}
    {_return(429, f"if {{ sc_http_req_rate({counter}) gt {limit.requests} }}")}
"""


def _limits(plan: RouterPlan, layout: Layout) -> str:
    """By token, whoever sends it; by address where there is no token yet. HAProxy keeps a token's hash alone."""
    exempt = ""
    acl = ""
    if plan.limits.exempt:
        acl = f"    acl unlimited src {_networks(plan.limits.exempt)}\n"
        exempt = " !unlimited"
    by_token = _limit(
        "limit-token", plan.limits.token, 0, "var(txn.token),sha1", f"{{ var(txn.token) -m found }}{exempt}"
    )
    limited = f"{{ path,map_str({layout.map('limited')}) -m found }}"
    by_address = _limit("limit-login", plan.limits.login, 1, "src,ipmask(32,64)", f"METH_POST {limited}{exempt}")
    return acl + by_token + by_address


def _token() -> str:
    return """\
    http-request set-var(txn.token) http_auth_bearer
    http-request set-var(txn.token) url_param(access_token) unless { var(txn.token) -m found }
"""


def _area(layout: Layout, heads: str) -> str:
    """First look-up: what the path belongs to, and which of its fields is a parameter."""
    shaped = "".join(
        f"    http-request set-var-fmt(txn.key) "
        f"'%[path,field(1,/,{position - 1})]/*/%[path,field({position + 1},/,0)]/$' "
        f"if {{ var(txn.area) -m str p{position} }}\n"
        for position in (6, 7)
    )
    return f"""\
    http-request set-var(txn.area) path,map_beg({layout.map(heads)},{Area.UNKNOWN})
    http-request set-var(txn.key) path,concat(/$) if {{ var(txn.area) -m str {Area.PLAIN} }}
{shaped}"""


def _pool(layout: Layout) -> str:
    """Second look-up: key and method to pool. METH_GET is HEAD as well."""
    return "".join(
        f"    http-request set-var(txn.pool) var(txn.key),map_beg({layout.map(method.lower())},{Pool.MAIN}) "
        f"if {'METH_GET' if method == 'GET' else f'{{ method {method} }}'}\n"
        for method in METHODS
    )


def initial_sync(plan: RouterPlan) -> str:
    """A sync from nothing is another kind of request: seconds of CPU, where a sync from a token takes milliseconds."""
    if not plan.has(Pool.INITIAL_SYNCHROTRON):
        return ""
    target = f"http-request set-var(txn.pool) str({Pool.INITIAL_SYNCHROTRON}) if sync"
    return f"""\
    acl sync var(txn.pool) -m str {Pool.SYNCHROTRON}
    {target} {{ path_end /sync }} !{{ url_param(since) -m found }}
    {target} {{ path_end /sync }} {{ url_param(full_state) -m str true }}
    {target} {{ path_end /events }} !{{ url_param(from) -m found }}
"""


def _body_size() -> str:
    """Synapse cuts the connection of a body that is too large, without a word; we say 413 before it is sent.

    A chunked body has no announced length: Synapse still cuts it, and the client sees our 502.
    """
    return "    " + _return(
        413,
        f"if {{ req.hdr_val(content-length) gt {MAX_REQUEST_BYTES} }} "
        f"!{{ var(txn.pool) -m str {Pool.MEDIA_REPOSITORY} }}",
    )


def _listener(plan: RouterPlan, layout: Layout, name: str, port: int, *, limited: bool, admin: bool) -> str:
    rules = [
        _addresses(plan),
        "    http-request set-var(txn.log_path) path\n",
        _preflight(),
        _area(layout, name),
    ]
    if admin:
        # A registration token is part of its own path: it is worth as much as an account.
        rules.append(
            f"""\
    acl admin path_beg /_synapse/admin
    http-request set-var(txn.log_path) str(/_synapse/admin/v1/registration_tokens/-) """
            f"""if {{ path_beg /_synapse/admin/v1/registration_tokens/ }}
    {_return(403, f"if admin !{{ src {_networks(plan.admin_clients)} }}")}
"""
        )
    rules.append(_token())
    if limited:
        rules.append(_limits(plan, layout))
    return f"""
frontend {name}
    bind {layout.bind(port)}
    log-format "{LOG_FORMAT}"
{"".join(rules)}{_pool(layout)}{initial_sync(plan)}{_body_size()}
    use_backend local unless {{ var(txn.area) -m beg p }}
    use_backend %[var(txn.pool)] if {{ var(txn.pool) -m found }}
    default_backend {Pool.MAIN}
"""


def _limit_tables(plan: RouterPlan) -> str:
    tables = [("limit-token", "binary len 20", plan.limits.token), ("limit-login", "ipv6", plan.limits.login)]
    if plan.federation:
        tables.append(("limit-origin", "string len 255", plan.limits.federation))
    return "".join(
        f"""
backend {name}
    stick-table type {kind} size {LIMIT_ENTRIES} expire {2 * limit.seconds}s store http_req_rate({limit.seconds}s)
"""
        for name, kind, limit in tables
    )


def _service_listeners(plan: RouterPlan, layout: Layout) -> str:
    """Metrics, and what the kubelet asks.

    /ready: this HAProxy works; it stays so when all of Synapse is down, since an error in JSON is better than
    none. /startup: names have been resolved and every pool has a process: before that, requests would go astray.
    """
    young = f"{{ date,sub(proc.started) lt {STARTUP_SECONDS} }}"
    empty = "".join(
        f"    http-request return status 503 if {{ path /startup }} {young} {{ nbsrv({p.pool}) lt 1 }}\n"
        for p in plan.pools
        if p.pool is not Pool.MAIN
    )
    return f"""
frontend metrics
    bind {layout.bind(METRICS_PORT)}
    option dontlog-normal
    http-request use-service prometheus-exporter if {{ path /metrics }}
    {_return(404)}

frontend health
    bind {layout.bind(HEALTH_PORT)}
    option dontlog-normal
    http-request return status 503 if {{ path /startup }} {{ nbsrv({Pool.MAIN}) lt 1 }}
{empty}    http-request return status 200 if {{ path /startup /ready /live }}
    {_return(404)}
"""


def frontends(plan: RouterPlan, layout: Layout) -> str:
    """All listeners."""
    result = _listener(plan, layout, "public", PUBLIC_PORT, limited=True, admin=False)
    result += _listener(plan, layout, "internal", INTERNAL_PORT, limited=False, admin=True)
    if plan.federation:
        result += _listener(plan, layout, "federation", FEDERATION_PORT, limited=False, admin=False)
    return result + _limit_tables(plan) + _service_listeners(plan, layout)


LIMITED_PATHS = (
    "login",
    "register",
    "refresh",
    "account/password",
    "account/password/email/requestToken",
    "account/3pid/email/requestToken",
    "account/3pid/msisdn/requestToken",
    "register/email/requestToken",
    "register/msisdn/requestToken",
)
"""Client API paths whose POST is limited by address: they cost bcrypt, an e-mail or an SMS, and need no token."""
