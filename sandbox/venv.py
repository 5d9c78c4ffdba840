"""`python3 -m sandbox.venv`: the virtual environment, from requirements.lock with its hashes. Standard library only.

`.venv` is a symbolic link into the cache, keyed by the lock file and the interpreter: a changed lock makes a new
environment, an unchanged one costs nothing.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.locks import exclusive
from sandbox.paths import CHECKOUT, VENV, cache

LOCK_FILE = CHECKOUT / "requirements.lock"
MINIMUM = (3, 11)
_COMPLETE = ".complete"


def _key() -> str:
    parts = LOCK_FILE.read_bytes() + f"{sys.version}|{platform.machine()}|{sys.executable}".encode()
    return hashlib.sha256(parts).hexdigest()[:12]


def _run(command: list[str], log: Path, what: str) -> None:
    with log.open("ab") as output:
        result = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
        hint = f"the whole log is in {log}"
        if "ensurepip" in tail:
            hint = "install the venv module of your Python (Debian: apt-get install python3-venv), then try again"
        elif "Could not find a version" in tail or "connection" in tail.lower():
            hint = f"check that pip reaches its package index on this machine; the whole log is in {log}"
        raise SandboxError(f"{what} failed", detail=tail, hint=hint)


def ensure() -> Path:
    """Make the environment if it is not there, point `.venv` at it, return it."""
    if sys.version_info < MINIMUM:
        found = ".".join(map(str, sys.version_info[:3]))
        wanted = ".".join(map(str, MINIMUM))
        raise SandboxError(
            f"Python {found} is too old: at least {wanted} is needed", hint=f"call make with PYTHON=python{wanted}"
        )
    if not LOCK_FILE.is_file():
        raise SandboxError("requirements.lock is missing", hint="it is part of the repository: git checkout it")
    target = cache() / "venv" / _key()
    if not (target / _COMPLETE).is_file():
        with exclusive(cache() / "venv.lock", "another process that makes the Python environment"):
            if not (target / _COMPLETE).is_file():
                _make(target)
    _link(target)
    return target


def _make(target: Path) -> None:
    # Built in place, because an environment knows its own path; a marker at the end tells whole from half.
    print("Python environment … ", end="", flush=True)
    start = time.monotonic()
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    log = cache() / "logs" / "venv.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    _run([sys.executable, "-m", "venv", str(target)], log, "making the virtual environment")
    pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "--require-hashes", "-r", str(LOCK_FILE)], log, "installing the locked Python packages")
    (target / _COMPLETE).touch()
    print(f"{time.monotonic() - start:.0f} s", flush=True)


def _link(target: Path) -> None:
    if VENV.is_symlink() and VENV.readlink() == target:
        return
    if VENV.exists() and not VENV.is_symlink():
        raise SandboxError(f"{VENV.name} exists and is not the link that make venv keeps", hint="move it away")
    temporary = VENV.with_name(f".venv.{os.getpid()}")
    temporary.symlink_to(target)
    temporary.replace(VENV)


def main() -> int:
    try:
        ensure()
    except SandboxError as error:
        print(error.text(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
