"""Listeners: what a request may reach, whose it is, how much it may ask, and which pool it goes to."""

from components.router.layout import Layout
from components.router.maps import POSITIONS, Answer
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


def log_format(path: str) -> str:
    """A line of JSON. `path` is HAProxy's word for the path without its query; never a header: no token is logged."""
    return (
        "%{+json}o %(time)[accept_date(ms),ms_utime(%Y-%m-%dT%H:%M:%S.%3NZ)] %(client)ci %(listener)f %(pool)b "
        f"%(server)s %(method)HM %(path){path} %(status:sint)ST %(bytes:sint)B %(wait_ms:sint)Tw %(connect_ms:sint)Tc "
        "%(response_ms:sint)Tr %(total_ms:sint)Ta %(ended)ts %(retries:str)rc %(pool_connections:sint)bc "
        "%(queue:sint)bq"
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

    Synapse believes the first address of X-Forwarded-For, so it must get exactly one: the client's. Behind one
    trusted proxy that is usually what arrives, and then nothing is rewritten.
    """
    client = f"req.hdr_ip(x-forwarded-for,-{plan.trusted_hops})"
    return f"""\
    acl from_proxy src {_networks(plan.trusted_proxies)}
    http-request set-header X-Forwarded-Proto https unless from_proxy {{ req.hdr(x-forwarded-proto) -m found }}
    http-request set-header X-Forwarded-For %[src] unless from_proxy {{ {client} -m found }}
    http-request set-header X-Forwarded-For %[{client}] if {{ req.hdr_cnt(x-forwarded-for) gt 1 }}
    http-request set-src req.hdr_ip(x-forwarded-for,-1)
"""


def _quiet(plan: RouterPlan) -> str:
    """Synapse logs each request that it answers, with the user. The router adds what Synapse cannot know."""
    return "" if plan.log_all else "    http-response set-log-level silent unless { status ge 500 }\n"


def _preflight() -> str:
    """OPTIONS never costs a Synapse process anything."""
    return f"    http-request return status 204 {headers()} if METH_OPTIONS\n"


def _limit(table: str, limit: RateLimit, counter: int, key: str, condition: str) -> str:
    return f"""\
    http-request track-sc{counter} {key} table {table} if {condition}
    {_return(429, f"if {{ sc_http_req_rate({counter}) gt {limit.requests} }}")}
"""


def _limits(plan: RouterPlan, layout: Layout) -> str:
    """By token, whoever sends it; by address where there is no token yet. HAProxy keeps a token's hash alone.

    32 bits of it: of 100,000 tokens, one pair in a run of days would share a limit that neither comes near.
    """
    exempt = ""
    acl = ""
    if plan.limits.exempt:
        acl = f"    acl unlimited src {_networks(plan.limits.exempt)}\n"
        exempt = " !unlimited"
    by_token = _limit(
        "limit-token", plan.limits.token, 0, "var(txn.token),xxh32", f"{{ var(txn.token) -m found }}{exempt}"
    )
    limited = f"{{ path,map_str({layout.map('limited')}) -m found }}"
    by_address = _limit("limit-login", plan.limits.login, 1, "src,ipmask(32,64)", f"METH_POST {limited}{exempt}")
    return acl + by_token + by_address


def _token() -> str:
    return """\
    http-request set-var(txn.token) http_auth_bearer
    http-request set-var(txn.token) url_param(access_token) unless { var(txn.token) -m found }
"""


def _route(layout: Layout, listener: str) -> str:
    """From method and path to a backend's name: one look-up, or two with a parameter in the middle (maps.py)."""
    shaped = "".join(
        f"    http-request set-var-fmt(txn.key) "
        f"'%[method]%[path,field(1,/,{position - 1})]/*/%[path,field({position + 1},/,0)]/$' "
        f"if {{ var(txn.route) -m str *{position} }}\n"
        for position in POSITIONS
    )
    found = f"map_beg({layout.map(listener)},{Answer.UNKNOWN})"
    return f"""\
    http-request set-var-fmt(txn.key) '%[method]%[path]/$'
    http-request set-var(txn.route) var(txn.key),{found}
{shaped}\
    http-request set-var(txn.shaped) var(txn.key),{found} if {{ var(txn.route) -m beg * }}
"""


def _dispatch(plan: RouterPlan) -> str:
    """To the backend. A sync from nothing has one of its own: it costs seconds of CPU, where a sync from a token
    costs milliseconds. It is known by its query, which no map can see."""
    rules = ["use_backend %[var(txn.shaped)] if { var(txn.shaped) -m found }"]
    if plan.has(Pool.INITIAL_SYNCHROTRON):
        initial = f"use_backend {Pool.INITIAL_SYNCHROTRON} if"
        rules += [
            f"use_backend %[var(txn.route)] unless {{ var(txn.route) -m str {Pool.SYNCHROTRON} }}",
            f"{initial} !{{ url_param(since) -m found }} {{ path_end /sync }}",
            f"{initial} !{{ url_param(from) -m found }} {{ path_end /events }}",
            f"{initial} {{ url_param(full_state) -m str true }}",
        ]
    rules += ["use_backend %[var(txn.route)]", f"default_backend {Answer.UNKNOWN}"]
    return "".join(f"    {rule}\n" for rule in rules)


def _body_size() -> str:
    """Synapse cuts the connection of a body that is too large, without a word; we say 413 before it is sent.

    A chunked body has no announced length: Synapse still cuts it, and the client sees our 502.
    """
    too_large = f"if {{ req.hdr_val(content-length) gt {MAX_REQUEST_BYTES} }}"
    return f"    {_return(413, f'{too_large} !{{ var(txn.route) -m str {Pool.MEDIA_REPOSITORY} }}')}\n"


def _listener(plan: RouterPlan, layout: Layout, name: str, port: int, *, limited: bool, admin: bool) -> str:
    rules = _addresses(plan) + _preflight() + _route(layout, name) + _body_size()
    path = "HPO"
    if admin:
        # A registration token is part of its own path, and worth as much as an account: it must not be logged.
        tokens = "/_synapse/admin/v1/registration_tokens/"
        path = "[var(txn.log_path)]"
        rules += f"""\
    http-request set-var(txn.log_path) path
    http-request set-var(txn.log_path) str({tokens}-) if {{ path_beg {tokens} }}
    {_return(403, f"if {{ path_beg /_synapse/admin }} !{{ src {_networks(plan.admin_clients)} }}")}
"""
    rules += _token()
    if limited:
        rules += _limits(plan, layout)
    return f"""
frontend {name}
    bind {layout.bind(port)}
    log-format "{log_format(path)}"
{_quiet(plan)}{rules}{_dispatch(plan)}"""


def _limit_tables(plan: RouterPlan) -> str:
    tables = [("limit-token", "integer", plan.limits.token), ("limit-login", "ipv6", plan.limits.login)]
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
    no log
    http-request use-service prometheus-exporter if {{ path /metrics }}
    {_return(404)}

frontend health
    bind {layout.bind(HEALTH_PORT)}
    no log
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
