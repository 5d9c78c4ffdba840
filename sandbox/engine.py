"""The real Pulumi engine, on a private local backend, against the sandbox's cluster."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import toolchain
from sandbox.credentials import write_private
from sandbox.errors import SandboxError
from sandbox.events import Events, follow
from sandbox.paths import CHECKOUT, SANDBOX, VENV
from sandbox.process import Identity

# Python package of each provider that a program may ask for.
_PROVIDERS = {"kubernetes": "pulumi-kubernetes", "random": "pulumi-random", "tls": "pulumi-tls"}
_LINKED = ("pulumi", "pulumi-language-python", "pulumi-language-python-exec")


def official_plugin(name: str) -> Path | None:
    """The provider as `pulumi plugin install` leaves it, in exactly the version of our SDK; None when not installed."""
    home = Path(os.environ.get("SANDBOX_OFFICIAL_PLUGINS") or Path.home() / ".pulumi" / "plugins")
    directory = home / f"resource-{name}-v{toolchain.sdk_version(_PROVIDERS[name])}"
    program = directory / f"pulumi-resource-{name}"
    return program if os.access(program, os.X_OK) else None


def needed_tools() -> list[str]:
    """What must be built for the engine on this machine: the provider only where the official one is not installed."""
    provider = [] if official_plugin("kubernetes") else ["pulumi-resource-kubernetes"]
    return [*_LINKED, *provider]


@dataclass(frozen=True)
class Result:
    """How one run of the engine ended."""

    code: int
    output: str
    events: Events
    seconds: float

    @property
    def ok(self) -> bool:
        return self.code == 0


class Engine:
    """Engine files of one state directory: programs, plugins, backend, passphrase."""

    def __init__(self, state: Path, kubeconfig: Path) -> None:
        self.state = state
        self.kubeconfig = kubeconfig
        self.programs = state / "engine"
        self.home = state / "pulumi"
        self.backend = state / "stacks"
        self.passphrase = state / "credentials" / "passphrase"

    # ---- installation ------------------------------------------------------------------------------------------------

    def install(self) -> dict[str, str]:
        """Put programs and plugins where the engine looks for them; which provider is which, in words."""
        for directory in (self.programs, self.home / "plugins", self.backend, self.passphrase.parent):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Side by side and no symbolic links: the language host looks for its helper beside its own real path.
        for name in _LINKED:
            self._link(toolchain.binary(name), self.programs / name)
        self._link(SANDBOX / "tools" / "pulumi-analyzer-policy-pythonpack", self.programs)
        if not self.passphrase.is_file():
            write_private(self.passphrase, secrets.token_urlsafe(32).encode())
        return {name: self._install_provider(name) for name in _PROVIDERS}

    @staticmethod
    def _link(source: Path, target: Path) -> None:
        if target.is_dir():
            target = target / source.name
        if target.exists() and target.stat().st_size == source.stat().st_size and target.samefile(source):
            return
        target.unlink(missing_ok=True)
        try:
            target.hardlink_to(source)
        except OSError:  # another file system
            shutil.copy2(source, target)

    def _install_provider(self, name: str) -> str:
        version = toolchain.sdk_version(_PROVIDERS[name])
        official = official_plugin(name)
        if official:
            program, words = official, f"official plugin {version}, as installed"
        elif name == "kubernetes":
            module = toolchain.pinned("kubernetes-provider", toolchain.KUBERNETES_PROVIDER)
            program = toolchain.binary("pulumi-resource-kubernetes")
            words = f"official code, built from its Go module ({module})"
        else:
            program = SANDBOX / "providers" / "bin" / f"pulumi-resource-{name}"
            words = f"stand-in of the sandbox for {version} (the official plugin is not installed)"
        directory = self.home / "plugins" / f"resource-{name}-v{version}"
        directory.mkdir(exist_ok=True)
        starter = directory / f"pulumi-resource-{name}"
        text = f'#!/bin/sh\nexec "{program}" "$@"\n'
        if not starter.is_file() or starter.read_text() != text:
            starter.write_text(text)
        starter.chmod(0o755)
        return words

    def policy_pack(self) -> Path:
        """The platform's policy pack as this engine can start it.

        The language host cannot start packs for an engine of this version, so the pack is given a runtime of the
        sandbox's own, whose plugin starts the very same file.
        """
        directory = self.state / "policy"
        directory.mkdir(exist_ok=True)
        (directory / "PulumiPolicy.yaml").write_text("description: the platform's rules\nruntime: pythonpack\n")
        entry = directory / "__main__.py"
        if not entry.is_symlink():
            entry.symlink_to(CHECKOUT / "policy" / "__main__.py")
        return directory

    # ---- running -----------------------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """Variables that make any `pulumi` command work on this backend and cluster, and call nobody else."""
        return {
            "PATH": os.pathsep.join([str(VENV / "bin"), str(self.programs), os.environ.get("PATH", "/usr/bin:/bin")]),
            "KUBECONFIG": str(self.kubeconfig),
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.passphrase),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_CONFIRMATIONS": "true",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def variables(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PULUMI_") and k != "KUBECONFIG"}
        return inherited | self.environment()

    def command(self, *arguments: str, cwd: Path, check: bool = True) -> str:
        """A short pulumi command; its output."""
        result = subprocess.run(
            [str(self.programs / "pulumi"), "--non-interactive", *arguments],
            cwd=cwd,
            env=self.variables(),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and result.returncode:
            raise SandboxError(
                f"pulumi {' '.join(arguments[:2])} failed", detail=(result.stderr or result.stdout).strip()[-3000:]
            )
        return result.stdout

    def stacks(self, program: Path) -> list[str]:
        """Names of the stacks of this project on the backend."""
        listed: list[dict[str, Any]] = json.loads(self.command("stack", "ls", "--json", cwd=program))
        return [stack["name"].rpartition("/")[2] for stack in listed]

    def create_stack(self, program: Path, stack: str) -> str:
        """Create a stack without touching the project's own files; its encryption salt."""
        # `stack init` writes the salt into Pulumi.<stack>.yaml beside Pulumi.yaml, so it gets a copy to write beside.
        with tempfile.TemporaryDirectory() as temporary:
            shutil.copy(program / "Pulumi.yaml", temporary)
            self.command("stack", "init", stack, "--no-select", cwd=Path(temporary))
            text = (Path(temporary) / f"Pulumi.{stack}.yaml").read_text()
        return text.partition("encryptionsalt:")[2].strip()

    def run(
        self,
        operation: str,
        program: Path,
        stack: str,
        *,
        config_file: Path | None = None,
        arguments: Sequence[str] = (),
        progress: Callable[[Events], None] | None = None,
        log: Path | None = None,
        extra_environment: dict[str, str] | None = None,
    ) -> Result:
        """`up`, `preview`, `destroy` or `refresh`, without questions; its events as they happen go to `progress`."""
        self.clear_stale_locks()
        given = ["--stack", stack]
        if config_file:
            given += ["--config-file", str(config_file)]
        if operation != "preview":
            given += ["--yes", "--skip-preview"]
        log = log or self.state / "logs" / f"pulumi-{operation}.log"
        log.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as temporary:
            event_log = Path(temporary) / "events"
            event_log.touch()
            # The flag for the event log is shown only to who debugs the engine, hence the variable.
            variables = self.variables() | {"PULUMI_DEBUG_COMMANDS": "true"} | (extra_environment or {})
            command = [
                str(self.programs / "pulumi"),
                "--non-interactive",
                operation,
                *given,
                "--event-log",
                str(event_log),
                "--color",
                "never",
                *arguments,
            ]
            with log.open("w") as output:
                process = subprocess.Popen(
                    command,
                    cwd=program,
                    env=variables,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                )
                try:
                    events, seconds = follow(event_log, process, progress)
                except KeyboardInterrupt:
                    process.send_signal(
                        signal.SIGINT
                    )  # the engine finishes what it has begun and keeps its state whole
                    process.wait()
                    raise
        return Result(process.returncode, log.read_text(errors="replace"), events, seconds)

    def clear_stale_locks(self) -> int:
        """Remove the backend's locks of engine processes that have ended without removing them; how many."""
        stale = 0
        for file in (self.backend / ".pulumi" / "locks").rglob("*.json"):
            try:
                pid = int(json.loads(file.read_text())["pid"])
            except (OSError, ValueError, KeyError):
                continue  # being written right now, or gone
            if Identity.of(pid) is None:
                file.unlink(missing_ok=True)
                stale += 1
        return stale

    def outputs(self, program: Path, stack: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.command("stack", "output", "--json", "--stack", stack, cwd=program))
        return found

    def state_of(self, program: Path, stack: str) -> list[dict[str, Any]]:
        """Resources in the stack's state, as exported (secrets stay encrypted)."""
        document = json.loads(self.command("stack", "export", "--stack", stack, cwd=program))
        resources: list[dict[str, Any]] = (document.get("deployment") or {}).get("resources") or []
        return resources

    def release(self, program: Path, stack: str) -> int:
        """Take protection and retention off every resource in the state; how many carried any. For sandboxes only."""
        document = json.loads(self.command("stack", "export", "--stack", stack, cwd=program))
        held = 0
        for resource in (document.get("deployment") or {}).get("resources") or []:
            carried = [bool(resource.pop(key, False)) for key in ("protect", "retainOnDelete")]
            held += any(carried)
        if held:
            with tempfile.TemporaryDirectory() as temporary:
                file = Path(temporary) / "state.json"
                write_private(file, json.dumps(document).encode())
                self.command("stack", "import", "--stack", stack, "--file", str(file), cwd=program)
        return held

    def remove_stack(self, program: Path, stack: str) -> None:
        """Forget a stack whose cluster is gone."""
        self.command("stack", "rm", stack, "--force", "--yes", "--preserve-config", cwd=program)


def project(directory: Path = CHECKOUT) -> Path:
    """The directory of the platform's Pulumi.yaml."""
    if not (directory / "Pulumi.yaml").is_file():
        raise SandboxError("there is no Pulumi.yaml in the checkout")
    return directory
