"""`python -m tests.bench.router`: what our rules cost, against a HAProxy that only passes requests through.

Both run with one thread on the same CPU, with the same servers behind them (a third HAProxy that answers by itself)
and the same request mix from wrk on the other CPU. Rounds alternate (A/B, B/A, …), so that a noisy machine hits
both; the ratio is of the medians. 0.85 is the aim; the rules of the usual Helm chart (80 regular expressions for
each request) reach 0.63 on this mix.
"""

import argparse
import http.client
import os
import re
import statistics
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
from tests.tools.haproxy import PORTS, free_ports, write_files
from tests.tools.stubs import wait_for

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
def running(config: Path, cpu: int, port: int) -> Iterator[None]:
    """A HAProxy on one CPU, its log thrown away as a container runtime would read it."""
    errors = config.with_name("errors")
    with Path("/dev/null").open("wb") as nothing, errors.open("wb") as problems:
        process = subprocess.Popen(
            ["taskset", "-c", str(cpu), *packages.haproxy(), "-db", "-f", str(config)], stdout=nothing, stderr=problems
        )
    try:
        wait_for(lambda: _answers(process, port, errors), 20, f"{config.parent.name} starts")
        yield
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


@dataclass(frozen=True)
class Measured:
    per_second: float
    p99_ms: float


_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def load(port: int, lua: Path, cpu: int, seconds: int) -> Measured:
    """One run of wrk. A response that is no 2xx means that something else was measured: an error."""
    command = [*packages.wrk(), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(lua)]
    result = subprocess.run(
        ["taskset", "-c", str(cpu), *command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True
    )
    text = result.stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SandboxError("the bench's requests failed", detail=text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    assert rate and p99, text
    return Measured(float(rate[1]), float(p99[1]) * _UNITS[p99[2]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="A/B pairs (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of one run (default 4)")
    arguments = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    tested, others = cpus[0], cpus[-1]
    plenty = RateLimit(requests=1_000_000_000, seconds=10)
    limits = RateLimitSettings(login=plenty, token=plenty, federation=plenty)
    router = plan("small", settings=RouterSettings(threads=1, limits=limits, trusted_proxies=("127.0.0.0/8",)))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        server, plain, logged, health_a, health_b, *ours = free_ports(5 + len(PORTS))
        ports = dict(zip(PORTS, ours, strict=True))
        lua = root / "mix.lua"
        lua.write_text(script())
        stub = root / "servers" / "haproxy.cfg"
        stub.parent.mkdir()
        stub.write_text(SERVERS.format(port=server))
        configs = {"bare": bare(plain, health_a, server, False), "bare with log": bare(logged, health_b, server, True)}
        layout = Layout(
            config_dir=str(root / "router"),
            errors_dir=str(root / "router"),
            address=lambda _: Address("127.0.0.1", server, server),
            listen="127.0.0.1",
            ports=ports,
        )
        files = {"router": write_files(router, layout)}
        for which, text in configs.items():
            files[which] = root / which.replace(" ", "-") / "haproxy.cfg"
            files[which].parent.mkdir()
            files[which].write_text(text)
        targets = {
            "router": (ports[PUBLIC_PORT], ports[HEALTH_PORT]),
            "bare with log": (logged, health_b),
            "bare": (plain, health_a),
        }
        results: dict[str, list[Measured]] = {which: [] for which in targets}
        with running(stub, others, server):
            for index in range(arguments.rounds):
                order = list(targets) if index % 2 == 0 else list(reversed(targets))
                for which in order:
                    port, health = targets[which]
                    with running(files[which], tested, health):
                        load(port, lua, others, 1)
                        results[which].append(load(port, lua, others, arguments.seconds))
    rates = {which: statistics.median(r.per_second for r in runs) for which, runs in results.items()}
    for which, runs in results.items():
        p99 = statistics.median(r.p99_ms for r in runs)
        print(f"{which:14} {rates[which]:9.0f} requests/s  p99 {p99:6.2f} ms")
    ratio = rates["router"] / rates["bare"]
    fair = rates["router"] / rates["bare with log"]
    print(f"router ÷ bare pass-through: {ratio:.2f} (with the same log line on both: {fair:.2f}); aim {AIM}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SandboxError as error:
        print(error.text(), file=sys.stderr)
        sys.exit(1)
