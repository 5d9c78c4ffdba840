"""Real servers for tests, on loopback and free ports: PostgreSQL with TLS, Valkey, and an S3 that remembers."""

import contextlib
import datetime
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sandbox.packages import debian_tree

NOBODY = 65534
"""PostgreSQL refuses to run as root; where tests do, it runs as nobody, who may read our cache."""


_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to outgoing connections: they come and go.

    Never the same twice, because some are used long after they were chosen.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


def wait_until(ready: Callable[[], bool], what: str, seconds: float = 60, log: Path | None = None) -> None:
    """Poll; AssertionError with the end of `log` when time is up."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            tail = log.read_text(errors="replace")[-3000:] if log and log.exists() else ""
            raise AssertionError(f"{what} was not ready after {seconds} s\n{tail}")
        time.sleep(0.2)


def listens(port: int) -> bool:
    with socket.socket() as connection:
        connection.settimeout(1)
        return connection.connect_ex(("127.0.0.1", port)) == 0


def end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM, seconds: float = 20) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def certificate(directory: Path, host: str) -> None:
    """server.crt and server.key for `host`, signed by ca.crt, valid for a day."""
    now = datetime.datetime.now(datetime.UTC)

    def build(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        name = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (subject, issuer)]
        return (
            x509.CertificateBuilder()
            .subject_name(name[0])
            .issuer_name(name[1])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = build("test CA", "test CA", ca_key).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    leaf = build(host, "test CA", key).add_extension(names, False)
    pem = serialization.Encoding.PEM
    (directory / "ca.crt").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    (directory / "server.crt").write_bytes(leaf.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "server.key").write_bytes(private)
    (directory / "server.key").chmod(0o600)


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A PostgreSQL 17 whose superuser comes in by its socket, and everybody else with a password over TLS."""

    port: int
    directory: Path
    psql: tuple[str, ...]

    @property
    def ca(self) -> Path:
        return self.directory / "ca.crt"

    def ask(self, sql: str, database: str = "postgres") -> str:
        words = [*self.psql, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.directory), "-p", str(self.port)]
        done = subprocess.run(
            [*words, "-U", "postgres", "-d", database], input=sql, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{sql}: {done.stderr}"
        return done.stdout.strip()


def _programs(root: Path) -> list[str]:
    """Wrappers of the unpacked programs in a tree of PostgreSQL's own shape; initdb finds postgres beside itself."""
    tree = debian_tree(["postgresql-17"], "trixie")
    home = "usr/lib/postgresql/17"
    (root / home / "bin").mkdir(parents=True)
    (root / "usr" / "share").symlink_to(tree.root / "usr" / "share")
    (root / home / "lib").symlink_to(tree.root / home / "lib")
    for name in ("postgres", "initdb", "psql"):
        loader, *rest = tree.command(f"{home}/bin/{name}")
        path = root / home / "bin" / name
        words = [loader, *rest[:-1], "--argv0", str(path), rest[-1]]
        path.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in words) + ' "$@"\n')
        path.chmod(0o755)
    return [str(root / home / "bin")]


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Until the block ends. fsync is off: nothing here is worth a disk's time."""
    directory = Path(tempfile.mkdtemp(prefix="test-postgres-"))
    directory.chmod(0o755)
    (bin_directory,) = _programs(directory)
    certificate(directory, "localhost")
    as_nobody: list[str] = []
    if os.geteuid() == 0:
        assert shutil.which("setpriv"), "setpriv is missing (Debian package util-linux): PostgreSQL refuses to be root"
        reads = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *reads]
        for path in (directory, *directory.iterdir()):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    data, port = directory / "data", free_port()
    make = [*as_nobody, f"{bin_directory}/initdb", "-D", str(data), "-U", "postgres", "--no-sync", "--locale=C"]
    done = subprocess.run([*make, "--encoding=UTF8", "--auth-local=trust"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    hba = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
    (data / "pg_hba.conf").write_text(hba)
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": directory,
        "unix_socket_permissions": "0777",
        "fsync": "off",
        "ssl": "on",
        "ssl_cert_file": directory / "server.crt",
        "ssl_key_file": directory / "server.key",
        "max_connections": 200,
    }
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    log = directory / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*as_nobody, f"{bin_directory}/postgres", "-D", str(data), *words], stdout=output, stderr=output
        )
    try:
        made = Postgres(port=port, directory=directory, psql=(f"{bin_directory}/psql",))
        wait_until(lambda: listens(port), "PostgreSQL", log=log)
        yield made
    finally:
        end(server, signal.SIGINT)
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def valkey(password: str) -> Iterator[int]:
    """The port of a Valkey that asks for a password."""
    port = free_port()
    program = debian_tree(["valkey-server"], "trixie").command("usr/bin/valkey-server")
    with tempfile.TemporaryDirectory(prefix="test-valkey-") as directory:
        config = Path(directory, "valkey.conf")
        config.write_text(f'bind 127.0.0.1\nport {port}\nsave ""\nrequirepass {password}\ndir {directory}\n')
        server = subprocess.Popen([*program, str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: listens(port), "Valkey")
            yield port
        finally:
            end(server)


@dataclass
class Storage:
    """An S3 that takes and gives objects, and checks no signature."""

    port: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def storage() -> Iterator[Storage]:
    kept = Storage()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", headers.pop("length", str(len(body))))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        @property
        def key(self) -> str:
            return self.path.partition("?")[0].lstrip("/")

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            else:
                raw = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    raw += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            return raw

        def do_PUT(self) -> None:
            kept.asked.append(("PUT", self.key))
            if self.headers.get("Expect") == "100-continue":
                pass  # http.server has answered it already
            kept.objects[self.key] = self._body()
            self._answer(200, ETag='"0"')

        def do_GET(self) -> None:
            kept.asked.append((self.command, self.key))
            body = kept.objects.get(self.key)
            if body is None:
                missing = f"<Error><Code>NoSuchKey</Code><Key>{escape(self.key)}</Key></Error>".encode()
                self._answer(404, missing)
            else:
                self._answer(200, body, ETag='"0"', length=str(len(body)))

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
