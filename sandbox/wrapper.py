"""The `pulumi` of a shell after `eval "$(make -s env)"`: the engine's own, told which copy of the stack file to use.

For the platform's project it creates the stack when needed, hands over the sandbox's config copy and, before anything
is deployed, gives the cluster the nodes of that stack. Every other command and project goes to the engine unchanged.
"""

import os
import sys
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.paths import CHECKOUT, state
from sandbox.session import Session, quiet_stdout

# Commands that take --config-file; those that change the cluster need its nodes first.
_DEPLOYING = {"up", "update", "refresh", "destroy", "import", "watch"}
_PREVIEWING = {"preview", "pre"}
_CONFIGURED = _DEPLOYING | _PREVIEWING | {"logs"}


def split(arguments: list[str]) -> tuple[str, str, bool]:
    """Command, stack and whether a config file is given, out of pulumi's arguments."""
    command = stack = ""
    given = False
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        if argument in ("-s", "--stack"):
            stack = arguments[index + 1] if index + 1 < len(arguments) else ""
            index += 1
        elif argument.startswith("--stack="):
            stack = argument.partition("=")[2]
        elif argument.startswith("--config-file"):
            given = True
        elif argument in ("-C", "--cwd"):
            index += 1
        elif not argument.startswith("-") and not command:
            command = argument
        index += 1
    return command, stack, given


def prepare(arguments: list[str]) -> list[str]:
    """Arguments for the engine."""
    command, stack, given = split(arguments)
    inside = CHECKOUT in (Path.cwd(), *Path.cwd().parents)
    if not inside or command not in _CONFIGURED or given or "--help" in arguments or "-h" in arguments:
        return arguments
    with quiet_stdout():
        session = Session.open()
        session.engine.clear_stale_locks()
        chosen = stack or os.environ.get("PULUMI_STACK") or session.serving or "small"
        if command in _DEPLOYING:
            session.serve(chosen)  # before the stack is looked up: emptying the cluster forgets its stacks
        elif command in _PREVIEWING:
            os.environ["KUBECONFIG"] = str(session.preview_kubeconfig(chosen))
        config = session.config_file(chosen)
        if not stack:
            print(f"stack: {chosen}", flush=True)
            arguments = [*arguments, "--stack", chosen]
    pack = str(session.engine.policy_pack())
    before = ["", *arguments[:-1]]
    arguments = [pack if _is_our_pack(b, text) else text for b, text in zip(before, arguments, strict=True)]
    return [*arguments, "--config-file", str(config)]


def _is_our_pack(before: str, text: str) -> bool:
    """Whether `text` names the platform's policy pack, which this engine needs in another form."""
    return before == "--policy-pack" and Path(text).resolve() == CHECKOUT / "policy"


def main() -> None:
    try:
        arguments = prepare(sys.argv[1:])
    except SandboxError as error:
        sys.exit(error.text())
    os.environ.pop("PYTHONPATH", None)
    engine = state() / "engine" / "pulumi"
    os.execv(engine, [str(engine), *arguments])


if __name__ == "__main__":
    main()
