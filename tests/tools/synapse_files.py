"""Lays out the files of Synapse processes in a directory as their pods see them, with dummy secrets."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from components.synapse import paths
from components.synapse.files import files_of
from components.synapse.plan import SynapsePlan
from components.synapse.pods import synapse_container, volumes
from components.synapse.process_types import ProcessType
from components.synapse.processes import Process
from sandbox.packages import python_environment

SIGNING_KEY = "ed25519 a_platform " + "A" * 42 + "E\n"
DUMMY = "dummy-secret-of-a-test"


def in_root(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _relocate(root: Path, text: str) -> str:
    """Absolute paths of the pod, below `root`."""
    for directory in ("/etc/synapse", "/run/synapse", "/run/secrets", paths.MEDIA_STORE_DIR):
        text = text.replace(directory, str(in_root(root, directory)))
    return text


def lay_out(plan: SynapsePlan, process: Process, ordinal: int, root: Path) -> dict[str, Any]:
    """What the pod's volumes would hold, from the pod's own list of volumes and mounts; and how to load it."""
    mounts = {volume: path for path, volume in synapse_container(plan, process).mounts.items()}
    by_name = {files.name: files for files in files_of(plan, process)}
    secrets = {plan.secret.name: plan.secret}
    for volume in volumes(plan, process):
        directory = mounts.get(volume["name"])
        if directory is None:
            continue
        target = in_root(root, directory)
        target.mkdir(parents=True, exist_ok=True)
        if "configMap" in volume:
            for name, text in by_name[volume["configMap"]["name"]].data.items():
                (target / name).write_text(_relocate(root, text))
        elif "secret" in volume:
            source = volume["secret"]
            declared = secrets.get(source["secretName"])
            keys = {i["key"]: i["path"] for i in source.get("items", [])} or {k: k for k in declared.entries}
            for key, path in keys.items():
                (target / path).write_text(SIGNING_KEY if key == "signing.key" else f"{DUMMY}\n")
    worker = not process.is_main
    if worker:
        name = in_root(root, f"{paths.RUN_DIR}/name.yaml")
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text(f"worker_name: {process.name}-{ordinal}\n")
    files = [in_root(root, path) for path in paths.CONFIG_FILES]
    return {
        "name": f"{process.name}-{ordinal}",
        "app": "synapse.app.generic_worker" if worker else "synapse.app.homeserver",
        "files": [str(path) for path in files if path.exists()],
    }


def load(requests: Iterable[Mapping[str, Any]], directory: Path) -> dict[str, Any]:
    """What real Synapse makes of the files."""
    python = python_environment("requirements-synapse.lock")
    script = Path(__file__).with_name("synapse_load.py")
    result = subprocess.run(
        [str(python), str(script)],
        input=json.dumps(list(requests)),
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
    )
    assert result.returncode == 0, f"the loader itself failed:\n{result.stderr[-3000:]}"
    return dict(json.loads(result.stdout))


def load_plan(plan: SynapsePlan, directory: Path) -> dict[str, Any]:
    """Every process of a plan: the first and the last pod of each type, which are the ones that could differ."""
    requests = []
    for process in plan.processes:
        for ordinal in sorted({0, process.maximum - 1}):
            requests.append(lay_out(plan, process, ordinal, directory / f"{process.name}-{ordinal}"))
    return load(requests, directory)


def change(request: Mapping[str, Any], file: str, **keys: Any) -> None:
    """Put other values into one of a laid out process' files (None removes the key)."""
    path = next(Path(f) for f in request["files"] if f.endswith(f"/{file}"))
    document = yaml.safe_load(path.read_text())
    for key, value in keys.items():
        document.pop(key, None)
        if value is not None:
            document[key] = value
    path.write_text(yaml.safe_dump(document))


MEDIA = ProcessType.MEDIA_REPOSITORY
