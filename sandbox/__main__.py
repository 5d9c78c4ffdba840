"""`python -m sandbox <command> [stack]`: what the Makefile calls."""

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

from sandbox import cluster as clusters
from sandbox import paths, report, stackfile, toolchain
from sandbox.api import Api, ApiError
from sandbox.display import Progress, table
from sandbox.engine import Result, needed_tools, project
from sandbox.errors import SandboxError
from sandbox.locks import exclusive
from sandbox.session import Session, quiet_stdout

_SETTLE_SECONDS = (
    60.0  # pods of resources that nobody waits for (skipAwait) may come up a little after the engine is done
)


def up(stack: str) -> int:
    began = time.monotonic()
    source = stackfile.committed(stack)
    session = Session.open()
    for name, words in session.providers.items():
        print(f"provider {name}: {words}")
    start, started = time.monotonic(), session.seconds["control plane"]
    session.serve(stack)
    config = session.config_file(stack)
    emptied = session.seconds["control plane"] - started  # the cluster of another stack was in the way
    session.seconds["nodes"] = time.monotonic() - start - max(0.0, emptied)
    _tell_overrides(source)
    result = _engine(session, "up", stack, config)
    session.seconds["pulumi up"] = result.seconds
    if not result.ok:
        raise _failed(session, "up", result)
    start = time.monotonic()
    _settle(session)
    session.seconds["pods settling"] = time.monotonic() - start
    session.seconds["all"] = time.monotonic() - began
    _summary(session, stack, result)
    return 0


def _engine(session: Session, operation: str, stack: str, config: Path) -> Result:
    rules = [] if operation == "destroy" else ["--policy-pack", str(session.engine.policy_pack())]
    with exclusive(session.state / "engine.lock", "another pulumi run in this sandbox"):
        progress = Progress(f"pulumi {operation}")
        result = session.engine.run(operation, project(), stack, config_file=config, arguments=rules, progress=progress)
        progress.close()
    return result


def _tell_overrides(source: Path) -> None:
    reasons = stackfile.overrides()[1]
    if reasons:
        print(f"deployed as in {source.name}, except:")
        for reason in dict.fromkeys(reasons.values()):
            print(f"  {', '.join(change for change, why in reasons.items() if why == reason)}\n    because {reason}")


def _failed(session: Session, operation: str, result: Result) -> SandboxError:
    errors = "\n".join(dict.fromkeys(result.events.errors)) or "\n".join(result.output.splitlines()[-15:])
    try:
        found = report.diagnosis(session.cluster.api)
    except (OSError, ApiError) as error:
        found = f"(the cluster could not be asked: {error})"
    return SandboxError(
        f"pulumi {operation} failed after {result.seconds:.0f} s",
        detail="\n".join(filter(None, (errors, found))),
        hint=f"the engine's log is {session.state / 'logs' / f'pulumi-{operation}.log'}; "
        'look at the cluster with `eval "$(make -s env)"; kubectl get pods -A`',
    )


def _settle(session: Session) -> None:
    """Every pod runs, every reference leads somewhere, or it is an error."""
    api = session.cluster.api
    deadline = time.monotonic() + _SETTLE_SECONDS
    while report.not_running(api) and time.monotonic() < deadline:
        time.sleep(0.5)
    if report.not_running(api) or report.dangling_references(api):
        raise SandboxError(
            "the engine is done, but the cluster is not as it should be",
            detail=report.diagnosis(api),
            hint='look closer with `eval "$(make -s env)"; kubectl describe pod …`',
        )


def _summary(session: Session, stack: str, result: Result) -> None:
    api = session.cluster.api
    counts = result.events.counts()
    changed = ", ".join(f"{counts[o]} {w}" for o, w in _WORDS.items() if counts[o]) or "no changes"
    pools, _ = report.pods_by_pool(api)
    outputs = session.engine.outputs(project(), stack)
    print(f"\nstack {stack} is up: {changed}")
    if outputs:
        print("\n" + table([("output", "value"), *_rows(outputs)]))
    found = report.addresses(api)
    if found:
        print("\n" + table([("reachable from outside", "address"), *found]))
    print("\n" + pools)
    print("\n" + table([("phase", "seconds"), *((n, f"{s:.1f}") for n, s in session.seconds.items())]))
    print('\nlook further:  eval "$(make -s env)"  then  kubectl get pods -A  or  pulumi stack --stack ' + stack)


_WORDS = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "same": "unchanged"}


def _rows(outputs: dict[str, object]) -> list[tuple[str, str]]:
    """One line for each output, one for each entry of those that are lists or mappings."""
    rows = []
    for name, value in sorted(outputs.items()):
        entries: list[tuple[str, object]] = [(name, value)]
        if isinstance(value, dict):
            entries = [(f"{name}.{key}", item) for key, item in value.items()]
        elif isinstance(value, list):
            entries = [(name, item) for item in value]
        for title, item in entries:
            text = ", ".join(f"{k} {v}" for k, v in item.items()) if isinstance(item, dict) else str(item)
            rows.append((title, text))
    return rows


def preview(stack: str) -> int:
    session = Session.open()
    config = session.config_file(stack)
    _tell_overrides(stackfile.committed(stack))
    command = [str(session.state / "engine" / "pulumi"), "preview", "--stack", stack, "--config-file", str(config)]
    command += ["--policy-pack", str(session.engine.policy_pack())]
    variables = session.engine.variables() | {"KUBECONFIG": str(session.preview_kubeconfig(stack))}
    return subprocess.run(command, cwd=project(), env=variables, check=False).returncode


def destroy(stack: str) -> int:
    session = Session.open()
    config = session.config_file(stack)
    held = session.engine.release(project(), stack)
    if held:
        print(f"took the protection off {held} resources (the data are simulated)")
    result = _engine(session, "destroy", stack, config)
    if not result.ok:
        raise _failed(session, "destroy", result)
    print(f"stack {stack} is destroyed: {result.events.counts()['delete']} deleted, {result.seconds:.0f} s")
    return 0


def down(stack: str) -> int:
    ended = clusters.end(paths.state())
    print("the sandbox is ended and its data are deleted; built tools stay" if ended else "no sandbox was there")
    return 0


def status(stack: str) -> int:
    state = paths.state()
    cluster = clusters.running(state)
    if cluster is None:
        found = clusters.read_status(state)
        print(
            f"the control plane does not run ({found['phase']})"
            if found
            else "no sandbox is there; `make up` starts one"
        )
        return 1
    api = Api(cluster.kubeconfig)
    record = clusters.read_status(state) or {}
    rows: list[tuple[str, ...]] = [("process", "pid"), *((n, str(p["pid"])) for n, p in record["processes"].items())]
    print(f"state: {state}\nkubeconfig: {cluster.kubeconfig}\n" + table(rows))
    pools, broken = report.pods_by_pool(api)
    print("\n" + pools)
    problems = report.diagnosis(api)
    if problems:
        print("\n" + problems)
    return 1 if broken else 0


def env(stack: str) -> int:
    with quiet_stdout():
        session = Session.open()
    for name, value in session.environment().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def kubeconfig(stack: str) -> int:
    with quiet_stdout():
        cluster = Session.open().cluster
    print(cluster.kubeconfig)
    return 0


def tools(stack: str) -> int:
    seconds = toolchain.ensure([*needed_tools(), *toolchain.CONTROL_PLANE])
    print(f"all programs are there ({seconds:.1f} s)")
    return 0


_COMMANDS = {f.__name__: f for f in (up, preview, destroy, down, status, env, kubeconfig, tools)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("stack", nargs="?", default="small")
    arguments = parser.parse_args()
    try:
        return _COMMANDS[arguments.command](arguments.stack)
    except SandboxError as error:
        print(error.text(), file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; what was begun stays as it is, run the command again to go on", file=sys.stderr)
    except (OSError, ApiError) as error:
        print(
            f"error: {error}\nwhat to do: `make status` shows the control plane, `make down` starts over",
            file=sys.stderr,
        )
    return 1


if __name__ == "__main__":
    sys.exit(main())
