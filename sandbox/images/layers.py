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
from sandbox.images.recipes import SUITE, Recipe
from sandbox.locks import exclusive
from sandbox.paths import cache

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
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment = clean | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
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
    if not (recipe.packages or recipe.programs or recipe.script):
        return None
    root, below = base()
    programs = {path: toolchain.directory(tool).name for path, tool in recipe.programs.items()}
    target = cache() / "images" / f"{name}-{recipe.key(below.digest, programs)}.tar"
    with exclusive(cache() / "images.lock", "another process that makes images"):
        if not target.with_suffix(".digest").is_file():
            print(f"image {name} … ", end="", flush=True)
            _build(root, recipe, target)
            print("done", flush=True)
    return _layer(target)


def _build(root: Path, recipe: Recipe, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".layer.", dir=target.parent) as work:
        directory = Path(work)
        for part in ("upper", "work", "merged"):
            (directory / part).mkdir()
        for path, tool in recipe.programs.items():
            copy = directory / "upper" / path.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(toolchain.binary(tool), copy)
            copy.chmod(0o755)
        (directory / "inside.sh").write_text(_script(recipe))
        # A mount namespace of its own: however this ends, no mount stays.
        outside = (
            'cd "$1" && mount -t overlay overlay -o "lowerdir=$2,upperdir=upper,workdir=work" merged && cd merged'
            " && mount -t proc proc proc && mount --rbind /dev dev && mount -t tmpfs tmpfs run"
            " && cp /etc/resolv.conf run/resolv.conf && touch etc/resolv.conf"
            " && mount --bind run/resolv.conf etc/resolv.conf && cp ../inside.sh run/inside.sh"
            " && exec chroot . sh -eu /run/inside.sh"
        )
        words = ["unshare", "--mount", "sh", "-euc", outside, "sh", str(directory), str(root)]
        _run(words, f"making the layer with {', '.join(recipe.packages) or 'its programs'}")
        _pack(directory / "upper", target)


def _script(recipe: Recipe) -> str:
    lines = [
        "export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run",
        "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d",  # packages start no services here
        "chmod 755 /usr/sbin/policy-rc.d",
    ]
    if recipe.packages:
        lines.append("apt-get -q update")
        lines.append(f"apt-get -q install --yes --no-install-recommends {' '.join(recipe.packages)}")
    return "\n".join([*lines, *recipe.script, "rm /usr/sbin/policy-rc.d", ""])


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
