"""Brings images into a running node, as far as it does not have them yet."""

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from sandbox import toolchain
from sandbox.cluster import read_status
from sandbox.errors import SandboxError
from sandbox.images import archive, layers
from sandbox.images.archive import Image
from sandbox.images.recipes import PAUSE, RECIPES
from sandbox.node.layout import CONTAINERD_SOCKET, PAUSE_IMAGE


def first_process(state: Path) -> int:
    """Process id, on the machine, of the first process of the node's namespaces."""
    status = read_status(state) or {}
    pid = status.get("processes", {}).get("node", {}).get("pid")
    for _ in range(2):  # cable, then unshare, then the node's first
        children = Path(f"/proc/{pid}/task/{pid}/children")
        pid = next(iter(children.read_text().split()), None) if pid and children.is_file() else None
    if pid is None:
        raise SandboxError("the node does not run", hint="start it first: python -m sandbox.node up")
    return int(pid)


def enter(state: Path) -> list[str]:
    """The words before a command that runs inside the node."""
    return ["nsenter", f"--target={first_process(state)}", "--mount", "--pid", "--net", "--uts", "--ipc"]


def _ctr(state: Path) -> list[str]:
    return [*enter(state), str(toolchain.binary("ctr")), f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io"]


def images(references: Mapping[str, str]) -> list[Image]:
    """The images of recipes, built where the cache lacks them. `references`: full name for each recipe's name."""
    toolchain.ensure([tool for name in references for tool in RECIPES[name].programs.values()])
    made = []
    for name, reference in references.items():
        recipe = RECIPES[name]
        parts = (layers.base()[1], layers.layer(name, recipe))
        made.append(Image(reference, tuple(p for p in parts if p), recipe.environment, recipe.command))
    return made


def present(state: Path) -> dict[str, str]:
    """Digest of each image in the node by its name."""
    answer = subprocess.run([*_ctr(state), "images", "list"], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SandboxError("the node's containerd does not answer", detail=answer.stderr.strip())
    rows = [line.split() for line in answer.stdout.splitlines()[1:]]
    return {row[0]: row[2] for row in rows if len(row) > 2}


def bring(state: Path, references: Mapping[str, str]) -> list[str]:
    """Make the node have an image for each reference; the references that it lacked."""
    known = present(state)
    missing = [i for i in images({PAUSE: PAUSE_IMAGE, **references}) if known.get(i.reference) != archive.digest(i)]
    if missing:
        _import(state, missing)
    return [image.reference for image in missing]


def _import(state: Path, wanted: Iterable[Image]) -> None:
    process = subprocess.Popen(
        [*_ctr(state), "images", "import", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdin is not None
    try:
        archive.write(wanted, process.stdin)
        process.stdin.close()
    except BrokenPipeError:
        pass  # what it says is below
    output = process.stdout.read().decode() if process.stdout else ""
    if process.wait():
        raise SandboxError("the node did not take the images", detail=output[-2000:])
