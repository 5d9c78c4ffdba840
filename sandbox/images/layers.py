"""Makes the base and the layers, in the cache. A layer is what changed in an overlay over the base, as a tar file."""

import hashlib
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import packages, toolchain
from sandbox.errors import SandboxError
from sandbox.images.recipes import SUITE, VENV, Recipe
from sandbox.locks import exclusive
from sandbox.paths import CHECKOUT, cache

_HINT = "the mirror of `apt-get update` on this machine must have Debian trixie"
# Not needed to run anything, and different at every build.
_DROPPED = (
    *("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale"),
    *("run", "tmp", "proc", "sys", "dev", "root/.cache"),
)


@dataclass(frozen=True)
class Layer:
    """A layer's tar file. `digest` is that of its content, as OCI writes it."""

    path: Path
    digest: str
    size: int


def _layer(path: Path) -> Layer:
    record = path.with_suffix(".digest")
    return Layer(path, record.read_text(), path.stat().st_size)


def _run(command: Sequence[str], what: str) -> None:
    # Of the caller's environment what decides where packages come from; certificates lie elsewhere in an image.
    keep = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy") or k.startswith("PIP_")}
    environment = {k: v for k, v in keep.items() if k not in ("PIP_FIND_LINKS", "PIP_CERT")} | {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/run",
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
        "PIP_CERT": "/run/ca.crt",
        "PIP_CONFIG_FILE": "/run/pip.conf",
    }
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-15:])
        raise SandboxError(f"{what} failed", detail=tail, hint=_HINT)


# ---- base ------------------------------------------------------------------------------------------------------------


def base() -> tuple[Path, Layer]:
    """Root file system of a minimal Debian, and the same as a layer."""
    directory = cache() / "images" / f"base-{SUITE}"
    with exclusive(cache() / "images.lock", "another process that makes images"):
        if not (directory / "base.digest").is_file():
            print(f"image base (Debian {SUITE}) … ", end="", flush=True)
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            _debootstrap(directory / "root")
            (directory / "root/etc/resolv.conf").write_text("")  # debootstrap copies this machine's
            _pack(directory / "root", directory / "base.tar")
            print("done", flush=True)
    return directory / "root", _layer(directory / "base.tar")


def _debootstrap(root: Path) -> None:
    uri, keyring = packages.debian_mirror()
    tree = packages.debian_tree(["debootstrap"], SUITE).root
    share = tree / "usr/share/debootstrap"
    words = [str(tree / "usr/sbin/debootstrap"), "--variant=minbase", f"--keyring={keyring}", SUITE, str(root), uri]
    _run(["env", f"DEBOOTSTRAP_DIR={share}", *words], f"debootstrap of {SUITE}")


# ---- layers ----------------------------------------------------------------------------------------------------------


def layer(name: str, recipe: Recipe) -> Layer | None:
    """The layer of a recipe over the base; None when the recipe adds nothing to it."""
    if not (recipe.packages or recipe.programs or recipe.script or recipe.python):
        return None
    root, below = base()
    identities = {path: toolchain.directory(tool).name for path, tool in recipe.programs.items()}
    if recipe.python:
        identities[recipe.python] = hashlib.sha256((CHECKOUT / recipe.python).read_bytes()).hexdigest()
    target = cache() / "images" / f"{name}-{recipe.key(below.digest, identities)}.tar"
    with exclusive(cache() / "images.lock", "another process that makes images"):
        if not target.with_suffix(".digest").is_file():
            print(f"image {name} … ", end="", flush=True)
            _build(name, root, recipe, target)
            print("done", flush=True)
    return _layer(target)


def _build(name: str, root: Path, recipe: Recipe, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".layer.", dir=target.parent) as work:
        upper = Path(work) / "image" / "upper"
        upper.mkdir(parents=True)
        for path, tool in recipe.programs.items():
            copy = upper / path.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(toolchain.binary(tool), copy)
            copy.chmod(0o755)
        if recipe.python:
            _python(name, root, recipe, Path(work) / "python", upper)
        _in_overlay(root, Path(work) / "image", _install(recipe.packages) + list(recipe.script), f"image {name}")
        _pack(upper, target)


def _python(name: str, root: Path, recipe: Recipe, directory: Path, upper: Path) -> None:
    """Make the virtual environment where a compiler is, and take nothing but it into the image."""
    (directory / "upper").mkdir(parents=True)
    shutil.copyfile(CHECKOUT / recipe.python, directory / "requirements.lock")
    pip = f"{VENV}/bin/pip install --no-input --quiet --disable-pip-version-check --no-cache-dir --require-hashes"
    lines = [
        *_install(("python3", *recipe.python_build)),
        f"python3 -m venv {VENV}",
        f"{pip} -r /run/requirements.lock",
    ]
    _in_overlay(root, directory, lines, f"Python packages of image {name}")
    inside = VENV.lstrip("/")
    (upper / inside).parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(directory / "upper" / inside, upper / inside, symlinks=True)


def _install(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return ["apt-get -q update", f"apt-get -q install --yes --no-install-recommends {' '.join(names)}"]


def _in_overlay(root: Path, directory: Path, lines: Sequence[str], what: str) -> None:
    """Run shell lines as root of an overlay over `root`; what they change is in `directory`/upper afterwards.

    In a mount namespace of its own: however this ends, no mount stays. /run is not part of the image; the resolver,
    the certificates that this machine trusts and pip's configuration lie there meanwhile.
    """
    for part in ("upper", "work", "merged"):
        (directory / part).mkdir(exist_ok=True)
    guard = "/usr/sbin/policy-rc.d"  # packages start no services here
    (directory / "inside.sh").write_text(
        "\n".join([f"printf '#!/bin/sh\\nexit 101\\n' > {guard}", f"chmod 755 {guard}", *lines, f"rm {guard}", ""])
    )
    files = {"resolv.conf": Path("/etc/resolv.conf"), "ca.crt": _authorities(), "pip.conf": Path("/etc/pip.conf")}
    for name, source in files.items():
        if source.is_file():
            shutil.copyfile(source, directory / name)
    outside = (
        'cd "$1" && mount -t overlay overlay -o "lowerdir=$2,upperdir=upper,workdir=work" merged'
        " && mount -t proc proc merged/proc && mount --rbind /dev merged/dev && mount -t tmpfs tmpfs merged/run"
        " && for file in resolv.conf ca.crt pip.conf requirements.lock inside.sh; do"
        ' [ ! -f "$file" ] || cp "$file" merged/run; done'
        " && mount --bind merged/run/resolv.conf merged/etc/resolv.conf"
        " && exec chroot merged sh -eu /run/inside.sh"
    )
    _run(["unshare", "--mount", "sh", "-euc", outside, "sh", str(directory), str(root)], what)


def _authorities() -> Path:
    return Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")


# ---- tar -------------------------------------------------------------------------------------------------------------


def _pack(directory: Path, target: Path) -> None:
    """Write the tar file of a directory tree, and its digest beside it."""
    temporary = target.with_suffix(".new")
    with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
        for parent, directories, files in os.walk(directory):
            here = Path(parent)
            inside = here.relative_to(directory)
            if str(inside) in _DROPPED:  # the directory itself stays, empty
                directories.clear()
                continue
            directories.sort()
            for name in sorted([*directories, *files]):
                _add(archive, here / name, inside / name)
    with temporary.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    temporary.replace(target)
    target.with_suffix(".digest").write_text(f"sha256:{digest}")


def _add(archive: tarfile.TarFile, path: Path, name: Path) -> None:
    status = path.lstat()
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:  # overlay's word for deleted; OCI has another
        archive.addfile(tarfile.TarInfo(str(name.parent / f".wh.{name.name}")))
        return
    archive.add(path, str(name), recursive=False)
    if stat.S_ISDIR(status.st_mode) and "trusted.overlay.opaque" in os.listxattr(path):
        archive.addfile(tarfile.TarInfo(str(name / ".wh..wh..opq")))
