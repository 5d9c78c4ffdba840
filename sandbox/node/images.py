"""Brings images into running nodes, as far as they do not have them yet."""

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from sandbox import toolchain
from sandbox.cluster import read_status
from sandbox.errors import SandboxError
from sandbox.images import archive, layers
from sandbox.images.archive import Image
from sandbox.images.recipes import PAUSE, RECIPES
from sandbox.node.layout import CONTAINERD_SOCKET, PAUSE_IMAGE, Node, read_nodes


def first_process(state: Path, node: Node) -> int:
    """Process id, on the machine, of the first process of a node's namespaces."""
    wanted = ["-m", "sandbox.node.machine", str(node.directory(state))]
    network = (read_status(state) or {}).get("processes", {}).get("nodes", {}).get("pid", 0)
    for unshare in _children(network):
        for first in _children(unshare):
            words = Path(f"/proc/{first}/cmdline").read_text().split("\0")
            if words[1:4] == wanted:
                return first
    raise SandboxError(f"{node.name} does not run", hint="start the nodes first: python -m sandbox.node up")


def _children(pid: int) -> list[int]:
    record = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in record.read_text().split()] if record.is_file() else []


def enter(state: Path, node: Node) -> list[str]:
    """The words before a command that runs inside a node."""
    return ["nsenter", f"--target={first_process(state, node)}", "--mount", "--pid", "--net", "--uts", "--ipc"]


def _ctr(state: Path, node: Node) -> list[str]:
    client = [str(toolchain.binary("ctr")), f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io"]
    return [*enter(state, node), *client]


def images(references: Mapping[str, str]) -> list[Image]:
    """The images of recipes, built where the cache lacks them. `references`: full name for each recipe's name."""
    toolchain.ensure([tool for name in references for tool in RECIPES[name].programs.values()])
    made = []
    for name, reference in references.items():
        recipe = RECIPES[name]
        parts = (layers.base()[1], layers.layer(name, recipe))
        made.append(Image(reference, tuple(p for p in parts if p), recipe.environment, recipe.command))
    return made


def present(state: Path, node: Node) -> dict[str, str]:
    """Digest of each image in a node by its name."""
    answer = subprocess.run([*_ctr(state, node), "images", "list"], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SandboxError(f"containerd of {node.name} does not answer", detail=answer.stderr.strip())
    rows = [line.split() for line in answer.stdout.splitlines()[1:]]
    return {row[0]: row[2] for row in rows if len(row) > 2}


def bring(state: Path, references: Mapping[str, str]) -> list[str]:
    """Make every node have an image for each reference; the references that some node lacked."""
    wanted = images({PAUSE: PAUSE_IMAGE, **references})
    lacked: dict[str, None] = {}
    for node in read_nodes(state):
        known = present(state, node)
        missing = [image for image in wanted if known.get(image.reference) != archive.digest(image)]
        if missing:
            _import(state, node, missing)
        lacked.update(dict.fromkeys(image.reference for image in missing))
    return list(lacked)


def _import(state: Path, node: Node, wanted: Iterable[Image]) -> None:
    command = [*_ctr(state, node), "images", "import", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            archive.write(wanted, process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass  # what it says is below
        output = process.stdout.read().decode()
    if process.returncode:
        raise SandboxError(f"{node.name} did not take the images", detail=output[-2000:])
