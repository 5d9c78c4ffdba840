"""Pools as HAProxy backends: how a worker is chosen, watched, protected from too much, and replaced by main."""

from components.router.layout import Layout
from components.router.maps import METHODS, POSITIONS, Answer
from components.router.plan import RouterPlan, RouterPool, Server
from components.router.pools import FEDERATION_POOLS, Choice, Pool
from components.router.responses import SECTION, headers, well_known_files

BALANCE_FACTOR = 150
"""Per cent of the average load that one worker may have before its next request goes on along the ring (bounded
load). 100 would forget the ring under load; 150 moves a few users away from a worker with heavy ones, and keeps a
worker that has just come back from getting all its users at once. There is no `slowstart` for that: it changes
weights, and with them the ring, for a while after each start of a worker *or of the router*."""

FALLBACK_ID = 1_000_000
"""Ring number of main in another pool: above any slot's."""

# The parameters of `Authorization: X-Matrix` come in any order, quoted (\\x22) or not. The router's only regular
# expression, and federation's alone.
_ORIGIN = r"^X-Matrix.*[ ,]origin=\x22?([^\x22,]+).*$"

# syt_<localpart in base64>_<random>_<checksum>: all devices of a user have one key, and keep it after a new login.
# A token of another form stands for itself. Without a token there is no key, and requests go round.
_USER = """\
    acl chosen var(txn.choice) -m found
    http-request set-var(txn.choice) var(txn.token),field(2,_) if !chosen { var(txn.token) -m beg syt_ }
    http-request set-var(txn.choice) var(txn.token) unless chosen
"""

_KEYS: dict[Choice, str] = {
    Choice.USER: _USER,
    # The parameter as its own text, so that %21 and ! are one room.
    Choice.PATH: "".join(
        f"    http-request set-var(txn.choice) path,field({n},/),url_dec if {{ var(txn.route) -m str *{n} }}\n"
        for n in POSITIONS
    )
    + _USER,
    Choice.ORIGIN: f"""\
    http-request set-var(txn.choice) 'req.fhdr(authorization),regsub("{_ORIGIN}","\\1",i)' \
if {{ req.fhdr(authorization) -m beg -i X-Matrix }}
    http-request set-var(txn.choice) src unless {{ var(txn.choice) -m found }}
""",
    # …/download/<server>/<media id>; a new upload has no id and goes round.
    Choice.MEDIA: """\
    http-request set-var(txn.choice) path,field(8,/) if { path_beg /_matrix/client/ }
    http-request set-var(txn.choice) path,field(7,/) unless { path_beg /_matrix/client/ }
""",
}

_ON_RING = "balance hash var(txn.choice)\n    hash-type consistent sdbm avalanche\n    hash-balance-factor"


def _balance(pool: RouterPool) -> str:
    match pool.traits.choice:
        case Choice.ONLY:
            return "    balance roundrobin\n"
        case Choice.LESS_BUSY:
            return "    balance random(2)\n"
        case choice:
            return f"{_KEYS[choice]}    {_ON_RING} {BALANCE_FACTOR}\n"


def _own_rules(plan: RouterPlan, pool: RouterPool) -> str:
    rules = ""
    if pool.pool is Pool.MEDIA_REPOSITORY:
        rules += (
            f"    http-request return status 413 errorfiles {SECTION} "
            f"if {{ req.hdr_val(content-length) gt {plan.max_upload_bytes} }}\n"
        )
    if pool.pool in FEDERATION_POOLS:
        origin = _KEYS[Choice.ORIGIN] if pool.traits.choice is not Choice.ORIGIN else ""
        rules += (
            f"{origin}    http-request track-sc2 var(txn.choice) table limit-origin\n"
            f"    http-request return status 429 errorfiles {SECTION} "
            f"if {{ sc_http_req_rate(2) gt {plan.limits.federation.requests} }}\n"
        )
    return rules


def _server(server: Server, pool: RouterPool, layout: Layout) -> str:
    address = layout.address(server)
    watched = (
        f"track {pool.tracks}/{server.name}"
        if pool.tracks
        else f"check port {address.health_port} observe layer4 error-limit 1 on-error fastinter"
    )
    return (
        f"    server {server.name} {address.host}:{address.port} id {server.id} "
        f"maxconn {pool.traits.max_connections} {watched}\n"
    )


def _fallback(plan: RouterPlan, pool: RouterPool, layout: Layout) -> str:
    """Main as the backup server: in use when no process of the pool lives, and for a retry after the last one died."""
    if not pool.traits.fallback:
        return ""
    main = next(p for p in plan.pools if p.pool is Pool.MAIN)
    server = main.servers[0]
    address = layout.address(server)
    return (
        f"    server {server.name} {address.host}:{address.port} id {FALLBACK_ID} "
        f"maxconn {main.traits.max_connections} track {Pool.MAIN}/{server.name} backup\n"
    )


def _backend(plan: RouterPlan, pool: RouterPool, layout: Layout) -> str:
    traits = pool.traits
    servers = "".join(_server(server, pool, layout) for server in pool.servers)
    return f"""
backend {pool.pool}
    timeout queue {traits.queue_seconds}s
    timeout server {traits.server_seconds}s
{_balance(pool)}{_own_rules(plan, pool)}{servers}{_fallback(plan, pool, layout)}"""


def _answers(plan: RouterPlan, layout: Layout) -> str:
    """Backends that answer without any Synapse: well-known documents, and every kind of no."""
    files = well_known_files(plan)
    cached = headers({"Cache-Control": "max-age=600"})
    unknown = f"    http-request return status 404 errorfiles {SECTION}\n"
    result = f"""
backend {Answer.CLOSED}
    http-request return status 403 errorfiles {SECTION}

backend {Answer.UNKNOWN}
    http-request return status 405 errorfiles {SECTION} unless {{ method {" ".join(METHODS)} }}
{unknown}"""
    for answer in (Answer.WELL_KNOWN_CLIENT, Answer.WELL_KNOWN_SERVER, Answer.WELL_KNOWN_SUPPORT):
        document = f"{answer}.json"
        result += f"\nbackend {answer}\n"
        if document not in files:
            result += unknown
            continue
        result += (
            f"    http-request return status 405 errorfiles {SECTION} unless METH_GET\n"
            f"    http-request return status 200 content-type application/json "
            f"file {layout.config_dir}/{document} {cached}\n"
        )
    return result


def backends(plan: RouterPlan, layout: Layout) -> str:
    """All backends."""
    return "".join(_backend(plan, pool, layout) for pool in plan.pools) + _answers(plan, layout)
