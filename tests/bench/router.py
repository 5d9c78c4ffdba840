"""`python -m tests.bench.router`: what our rules cost, against a HAProxy that only passes requests through.

All variants run with one thread on a CPU of their own, with the same server behind them (another HAProxy that
answers by itself) and the same mix of requests from wrk. The ratio is of HAProxy's own CPU time per request, which is
what decides how many it can carry: it does not count what wrk and the server cost, and other load on the machine
hardly moves it. Requests per second, as wrk saw them, are printed beside it. Rounds alternate in order, and of each
variant the best round counts: noise only adds.
"""

import argparse
import http.client
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.router.frontends import log_format
from components.router.layout import Address, Layout
from components.router.plan import HEALTH_PORT, PUBLIC_PORT
from components.router.settings import RateLimit, RateLimitSettings, RouterSettings
from sandbox import packages
from sandbox.errors import SandboxError
from tests.router.examples import plan
from tests.tools.router.haproxy import PORTS, free_ports, write_files
from tests.tools.router.stubs import wait_for

AIM = 0.85
CONNECTIONS = 64
_TOKEN = "syt_{}_abcdefghijklmnopqrst_0aBcDe"

# What clients ask, by weight: about as in Synapse's own request metrics of a busy server.
MIX: tuple[tuple[int, str, str], ...] = (
    (40, "GET", "/_matrix/client/v3/sync?filter=1&timeout=30000&since=s123456_7_8_9"),
    (6, "PUT", "/_matrix/client/v3/rooms/!room%3Achat.example.org/send/m.room.encrypted/m123.4"),
    (8, "PUT", "/_matrix/client/v3/rooms/!room%3Achat.example.org/typing/%40user%3Achat.example.org"),
    (8, "POST", "/_matrix/client/v3/rooms/!room%3Achat.example.org/receipt/m.read/%24event"),
    (6, "GET", "/_matrix/client/v3/rooms/!room%3Achat.example.org/messages?dir=b&limit=30"),
    (4, "GET", "/_matrix/client/v3/rooms/!room%3Achat.example.org/members?not_membership=leave"),
    (6, "POST", "/_matrix/client/v3/keys/query"),
    (4, "POST", "/_matrix/client/v3/keys/upload"),
    (3, "PUT", "/_matrix/client/v3/sendToDevice/m.room.encrypted/m123"),
    (8, "GET", "/_matrix/client/v1/media/thumbnail/chat.example.org/abcdefgh?width=96&height=96&method=crop"),
    (3, "GET", "/_matrix/client/v3/profile/%40user%3Achat.example.org"),
    (2, "GET", "/_matrix/client/versions"),
    (2, "PUT", "/_matrix/client/v3/presence/%40user%3Achat.example.org/status"),
)

_SCRIPT = """
local requests, n = {{}}, 0
math.randomseed(42)
local function add(weight, method, path, token)
  for _ = 1, weight do
    local headers = {{["Authorization"] = "Bearer " .. token,
      ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) Element/1",
      ["Accept"] = "application/json", ["Accept-Encoding"] = "gzip, deflate, br", ["X-Forwarded-For"] = "203.0.113.7",
      ["X-Forwarded-Proto"] = "https", ["Content-Type"] = "application/json"}}
    n = n + 1
    requests[n] = wrk.format(method, path, headers, method ~= "GET" and "{{}}" or nil)
  end
end
init = function(args)
  for user = 1, {users} do
    local token = string.format("{token}", "dXNlcg" .. user)
{lines}
  end
end
request = function() return requests[math.random(n)] end
"""


def script() -> str:
    """The mix as wrk's Lua: prepared requests of 50 users, picked at random."""
    lines = "\n".join(
        f'    add({weight}, "{method}", "{path.replace("%", "%%")}", token)' for weight, method, path in MIX
    )
    lines = lines.replace("%%", "%")
    return _SCRIPT.format(users=50, token=_TOKEN.replace("{}", "%s"), lines=lines)


SERVERS = """\
global
    maxconn 4000
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend servers
    bind 127.0.0.1:{port}
    http-request return status 200 content-type application/json string "{{\\"next_batch\\":\\"s1\\",\\"rooms\\":{{}}}}"
"""


def bare(port: int, health: int, server: int, log: bool) -> str:
    """The same HAProxy without a rule: one backend, and the same log line when `log`."""
    logging = f'    log global\n    log-format "{log_format("HPO")}"\n' if log else ""
    return f"""\
global
    maxconn 4000
    nbthread 1
    log stdout format raw local0 info
defaults
    mode http
    http-reuse aggressive
    timeout connect 2s
    timeout client 60s
    timeout server 120s
frontend public
    bind 127.0.0.1:{port}
{logging}    default_backend all
frontend health
    bind 127.0.0.1:{health}
    http-request return status 200
backend all
    balance roundrobin
    server one 127.0.0.1:{server} maxconn 2000
"""


@contextmanager
def running(config: Path, cpu: int, port: int) -> Iterator[int]:
    """A HAProxy on one CPU, its log thrown away. Gives its process id."""
    errors = config.with_name("errors")
    with Path("/dev/null").open("wb") as nothing, errors.open("wb") as problems:
        process = subprocess.Popen(
            ["taskset", "-c", str(cpu), *packages.haproxy(), "-db", "-f", str(config)], stdout=nothing, stderr=problems
        )
    try:
        wait_for(lambda: _answers(process, port, errors), 20, f"{config.parent.name} starts")
        yield process.pid
    finally:
        process.kill()
        process.wait(10)


def _answers(process: subprocess.Popen[bytes], port: int, errors: Path) -> bool:
    if process.poll() is not None:
        raise SandboxError("HAProxy ended at once", detail=errors.read_text(errors="replace"))
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/startup")
        return connection.getresponse().status == 200
    except OSError:
        return False


def cpu_seconds(process: int) -> float:
    """CPU time that a process has used, in user and kernel."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    per_second: float
    p99_ms: float
    cpu_us: float
    """CPU time of HAProxy for one request."""


_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def load(process: int, port: int, lua: Path, cpu: int, seconds: int) -> Measured:
    """One run of wrk. A response that is no 2xx means that something else was measured: an error."""
    command = [*packages.wrk(), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(lua)]
    before = cpu_seconds(process)
    result = subprocess.run(
        ["taskset", "-c", str(cpu), *command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True
    )
    used = cpu_seconds(process) - before
    text = result.stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SandboxError("the bench's requests failed", detail=text)
    count = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    if not (count and rate and p99):
        raise SandboxError("wrk says something unknown", detail=text)
    return Measured(float(rate[1]), float(p99[1]) * _UNITS[p99[2]], used / int(count[1]) * 1e6)


@dataclass(frozen=True)
class Variant:
    config: Path
    port: int
    health: int


def variants(root: Path, server: int) -> dict[str, Variant]:
    """The configurations to compare, written down."""
    plenty = RateLimit(requests=1_000_000_000, seconds=10)
    limits = RateLimitSettings(login=plenty, token=plenty, federation=plenty)
    found: dict[str, Variant] = {}
    for name in ("router", "router, all logged"):
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        directory = root / name.replace(" ", "-").replace(",", "")
        layout = Layout(
            config_dir=str(directory),
            errors_dir=str(directory),
            address=lambda _: Address("127.0.0.1", server, server),
            listen="127.0.0.1",
            ports=ports,
        )
        settings = RouterSettings(threads=1, limits=limits, trusted_proxies=("127.0.0.0/8",), log_all="logged" in name)
        config = write_files(plan("small", settings=settings), layout)
        found[name] = Variant(config, ports[PUBLIC_PORT], ports[HEALTH_PORT])
    for name in ("bare", "bare, all logged"):
        port, health = free_ports(2)
        config = root / name.replace(" ", "-").replace(",", "") / "haproxy.cfg"
        config.parent.mkdir()
        config.write_text(bare(port, health, server, "logged" in name))
        found[name] = Variant(config, port, health)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=4, help="rounds over all variants (default 4)")
    parser.add_argument("--seconds", type=int, default=3, help="length of one run (default 3)")
    arguments = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    tested, others = cpus[0], cpus[-1]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (server,) = free_ports(1)
        lua = root / "mix.lua"
        lua.write_text(script())
        stub = root / "servers" / "haproxy.cfg"
        stub.parent.mkdir()
        stub.write_text(SERVERS.format(port=server))
        compared = variants(root, server)
        results: dict[str, list[Measured]] = {which: [] for which in compared}
        with running(stub, others, server):
            for index in range(arguments.rounds):
                for which in compared if index % 2 == 0 else reversed(compared):
                    variant = compared[which]
                    with running(variant.config, tested, variant.health) as process:
                        load(process, variant.port, lua, others, 1)
                        results[which].append(load(process, variant.port, lua, others, arguments.seconds))
    report(results)
    return 0


def report(results: dict[str, list[Measured]]) -> None:
    """The table, and the ratios that the platform promises."""
    rate = {which: max(r.per_second for r in runs) for which, runs in results.items()}
    cpu = {which: min(r.cpu_us for r in runs) for which, runs in results.items()}
    print(f"{'':20} {'CPU/request':>12} {'requests/s':>11} {'p99':>9}")
    for which, runs in results.items():
        print(f"{which:20} {cpu[which]:9.1f} µs {rate[which]:11.0f} {min(r.p99_ms for r in runs):6.2f} ms")
    pairs = (("router", "bare"), ("router, all logged", "bare, all logged"))
    text = ", ".join(f"{cpu[b] / cpu[a]:.2f} ({a} ÷ {b})" for a, b in pairs)
    print(f"what a saturated router carries ÷ bare pass-through: {text}; aim {AIM}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SandboxError as error:
        print(error.text(), file=sys.stderr)
        sys.exit(1)
