"""`python -m sandbox.bench [stack]`: `pulumi up` against its floor, in one run on one machine.

The floor is kubectl applying the very same objects server-side in one go, and the same waits afterwards. What is above
it is the price of the engine: its state, its diffs, its order.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from sandbox import cluster, paths, report, toolchain
from sandbox.api import Api, Json
from sandbox.display import Progress, table
from sandbox.engine import Result, project
from sandbox.errors import SandboxError
from sandbox.session import Session

_SECRET = "4dabf18193072939515e22adb298388d"  # how the engine marks a secret in an export
_FLOOR_SECONDS = 900.0


def objects_of(resources: list[dict[str, Any]]) -> list[Json]:
    """Manifests of every Kubernetes object in an exported state, namespaces first."""
    found = []
    for resource in resources:
        inputs = resource.get("inputs") or {}
        if not resource["type"].startswith("kubernetes:") or "kind" not in inputs or resource.get("delete"):
            continue
        found.append({k: v for k, v in _plain(inputs).items() if not k.startswith("__")})
    return sorted(found, key=lambda item: item["kind"] != "Namespace")


def _plain(value: Any) -> Any:
    """Without the engine's wrapping of secrets."""
    if isinstance(value, dict):
        if _SECRET in value:
            return _plain(json.loads(value["plaintext"]))
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _run(session: Session, operation: str, stack: str, *arguments: str) -> Result:
    progress = Progress(f"pulumi {operation} {stack}")
    result = session.engine.run(
        operation, project(), stack, config_file=session.config_file(stack), arguments=arguments, progress=progress
    )
    progress.close()
    if not result.ok:
        raise SandboxError(f"pulumi {operation} of {stack} failed", detail=result.output[-3000:])
    return result


def _wait_for_pods(api: Api) -> None:
    while report.not_running(api):
        time.sleep(0.2)


def _floor(session: Session, objects: list[Json]) -> float:
    """Seconds until kubectl has applied everything and everything is ready."""
    api = session.cluster.api
    began = time.monotonic()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"apiVersion": "v1", "kind": "List", "items": objects}, file)
        file.flush()
        command = [str(toolchain.binary("kubectl")), "--kubeconfig", str(session.cluster.kubeconfig), "apply"]
        command += ["--server-side", "--force-conflicts", "-f", file.name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SandboxError("kubectl could not apply the stack's objects", detail=result.stderr[-3000:])
    wanted = sum(item["kind"] in ("Deployment", "StatefulSet", "DaemonSet") for item in objects)
    while time.monotonic() - began < _FLOOR_SECONDS:
        if not _waiting(api, wanted) and not report.custom_not_ready(api) and not report.not_running(api):
            return time.monotonic() - began
        time.sleep(0.2)
    raise SandboxError("the objects that kubectl applied did not become ready", detail=report.diagnosis(api))


def _waiting(api: Api, wanted: int) -> bool:
    """Whether a workload has fewer ready pods than it asks for, or a Job is not done."""
    workloads = [w for kind in ("deployments", "statefulsets", "daemonsets") for w in api.list(f"/apis/apps/v1/{kind}")]
    jobs = api.list("/apis/batch/v1/jobs")
    behind = [
        w
        for w in workloads
        if w.get("status", {}).get("readyReplicas", w.get("status", {}).get("numberReady", 0))
        < w["spec"].get("replicas", w.get("status", {}).get("desiredNumberScheduled", 1))
    ]
    unfinished = [job for job in jobs if not job.get("status", {}).get("succeeded")]
    return len(workloads) < wanted or bool(behind) or bool(unfinished)


def measure(stack: str) -> None:
    """Print the figures of one stack, and preview of large against small."""
    session = Session.open()
    session.restart_empty()
    session.serve(stack)
    began = time.monotonic()
    _run(session, "up", stack)
    _wait_for_pods(session.cluster.api)
    up = time.monotonic() - began
    again = _run(session, "up", stack, "--expect-no-changes").seconds
    exported = session.engine.command("stack", "export", "--show-secrets", "--stack", stack, cwd=project())
    objects = objects_of(json.loads(exported)["deployment"]["resources"])
    session.restart_empty()
    session.serve(stack)
    floor = _floor(session, objects)
    session.restart_empty()
    previews = {name: _run(session, "preview", name).seconds for name in ("small", "large")}
    rows: list[tuple[str, ...]] = [
        ("figure", "value"),
        (f"objects of {stack}", str(len(objects))),
        ("pulumi up, all pods running", f"{up:.1f} s"),
        ("kubectl apply of the same, all ready", f"{floor:.1f} s"),
        ("up ÷ floor", f"{up / floor:.2f}"),
        ("second up, nothing to do", f"{again:.1f} s"),
        *((f"preview of {name}", f"{seconds:.1f} s") for name, seconds in previews.items()),
        ("preview large ÷ small", f"{previews['large'] / previews['small']:.2f}"),
    ]
    print(table(rows))


def main() -> None:
    # A cluster of its own: measuring empties it several times.
    os.environ.setdefault("SANDBOX_STATE", str(paths.state("-bench")))
    try:
        measure(sys.argv[1] if len(sys.argv) > 1 else "small")
    except SandboxError as error:
        sys.exit(error.text())
    finally:
        cluster.end(paths.state())


if __name__ == "__main__":
    main()
