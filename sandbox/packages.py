"""Programs of others that tests and benches need: from Debian packages, and Python environments from a lock file.

Everything comes through the machine's own package clients and the mirrors they are configured for, with their
verification on; nothing is installed on the machine. What has been made stays in the cache.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.locks import exclusive
from sandbox.paths import CHECKOUT, cache

_COMPLETE = ".complete"
_APT = Path("/etc/apt")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, slots=True)
class DebianTree:
    """Unpacked Debian packages with everything that they depend on, the C library included."""

    root: Path

    def command(self, program: str) -> list[str]:
        """The words that run `program` (a path in the tree) with the tree's own loader and libraries."""
        loader = next(self.root.glob("usr/lib*/ld-linux-*.so.*"), None)
        if loader is None:
            raise SandboxError(f"no dynamic loader in {self.root}", hint="delete that directory and try again")
        libraries = sorted({str(path.parent) for path in self.root.glob("usr/lib/**/*.so.*")})
        return [str(loader), "--library-path", ":".join(libraries), str(self.root / program)]


def _run(command: Sequence[str], what: str, hint: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-12:])
        raise SandboxError(f"{what} failed", detail=tail, hint=hint)


@dataclass(frozen=True, slots=True)
class _Source:
    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str


def _one_line(text: str) -> Iterator[_Source]:
    for line in text.splitlines():
        match = re.match(r"^deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$", line.strip())
        if match:
            options = dict(o.split("=", 1) for o in (match[1] or "").split() if "=" in o)
            yield _Source(match[2], match[3], tuple(match[4].split()), options.get("signed-by", ""))


def _deb822(text: str) -> Iterator[_Source]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = {
            name.strip().lower(): value.strip()
            for name, separator, value in (line.partition(":") for line in stanza.splitlines() if line[:1] != "#")
            if separator
        }
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no":
            for uri in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    signed = fields.get("signed-by", "")
                    yield _Source(uri, suite, tuple(fields.get("components", "").split()), signed)


def _machine_sources() -> Iterator[_Source]:
    parts = _APT / "sources.list.d"
    for path in [_APT / "sources.list", *sorted(parts.glob("*.list"))]:
        if path.is_file():
            yield from _one_line(path.read_text())
    for path in sorted(parts.glob("*.sources")):
        yield from _deb822(path.read_text())


def debian_mirror() -> tuple[str, str]:
    """Address and keyring of the Debian mirror that this machine uses."""
    releases = re.compile(r"^(bookworm|trixie|forky|sid|stable|testing|unstable)$")
    for source in _machine_sources():
        if releases.match(source.suite) and "main" in source.components:
            return source.uri, source.signed_by or str(_KEYRING)
    raise SandboxError(
        "apt on this machine has no Debian mirror, which HAProxy for the tests comes from",
        hint="run this on Debian, or add a Debian mirror (with its keyring) to apt's sources",
    )


def debian_tree(packages: Sequence[str], suite: str) -> DebianTree:
    """The newest `packages` of a Debian suite with their dependencies, unpacked in the cache.

    apt works in a directory of its own, with the machine's mirror and keyring and nothing installed, so that it
    fetches the whole closure and checks every signature and hash as always.
    """
    for needed in ("apt-get", "dpkg-deb"):
        if not shutil.which(needed):
            raise SandboxError(f"{needed} is missing", hint="the tools tier of the tests runs on Debian")
    key = hashlib.sha256("|".join([suite, platform.machine(), *sorted(packages)]).encode()).hexdigest()[:12]
    root = cache() / "debian" / f"{packages[0]}-{key}"
    if not (root / _COMPLETE).is_file():
        with exclusive(cache() / "debian.lock", "another process that fetches Debian packages"):
            if not (root / _COMPLETE).is_file():
                _fetch(root, packages, suite)
    return DebianTree(root)


def _fetch(root: Path, packages: Sequence[str], suite: str) -> None:
    print(f"Debian packages ({', '.join(packages)} of {suite}) … ", end="", flush=True)
    uri, keyring = debian_mirror()
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=cache()) as work:
        apt = Path(work)
        for directory in ("state/lists/partial", "cache/archives/partial", "sources"):
            (apt / directory).mkdir(parents=True)
        (apt / "status").touch()
        (apt / "sources" / "suite.sources").write_text(
            f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\nSigned-By: {keyring}\n"
        )
        options = {
            "Dir::State": apt / "state",
            "Dir::State::status": apt / "status",
            "Dir::Cache": apt / "cache",
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": apt / "sources",
            "Dir::Etc::preferencesparts": "/dev/null",
        }
        client = ["apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
        hint = "check that `apt-get update` works on this machine"
        _run([*client, "update"], f"reading the package lists of {suite}", hint)
        fetch = ["install", "--yes", "--download-only", "--no-install-recommends", *packages]
        _run([*client, *fetch], f"downloading {', '.join(packages)}", hint)
        for archive in sorted((apt / "cache" / "archives").glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(archive), str(root)], f"unpacking {archive.name}", "is the disk full?")
    (root / _COMPLETE).touch()
    print("done", flush=True)


def haproxy() -> list[str]:
    """The words that run HAProxy 3.0, the release line that the platform's image has."""
    return debian_tree(["haproxy"], "trixie").command("usr/sbin/haproxy")


def wrk() -> list[str]:
    """The words that run wrk, the load generator of the router's bench."""
    return debian_tree(["wrk"], "trixie").command("usr/bin/wrk")


def python_environment(lock_file: str) -> Path:
    """The `python` of a virtual environment with exactly what a lock file of the repository names, by hash."""
    lock = CHECKOUT / lock_file
    if not lock.is_file():
        raise SandboxError(f"{lock_file} is missing", hint="it is part of the repository: git checkout it")
    about = f"{sys.version}|{platform.machine()}|{sys.executable}".encode()
    key = hashlib.sha256(lock.read_bytes() + about).hexdigest()[:12]
    target = cache() / "python" / f"{lock.stem}-{key}"
    python = target / "bin" / "python"
    if (target / _COMPLETE).is_file():
        return python
    with exclusive(cache() / "python.lock", "another process that makes a Python environment"):
        if not (target / _COMPLETE).is_file():
            print(f"Python environment of {lock_file} … ", end="", flush=True)
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            _run([sys.executable, "-m", "venv", str(target)], "making the environment", "is python3-venv installed?")
            pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
            hint = "pip must reach its index; psycopg2 is compiled: Debian packages gcc, libpq-dev, python3-dev"
            environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
            result = subprocess.run(
                [*pip, "--require-hashes", "-r", str(lock)],
                capture_output=True,
                text=True,
                check=False,
                env=environment,
            )
            if result.returncode:
                tail = "\n".join((result.stdout + result.stderr).splitlines()[-12:])
                raise SandboxError(f"installing {lock_file} failed", detail=tail, hint=hint)
            (target / _COMPLETE).touch()
            print("done", flush=True)
    return python
