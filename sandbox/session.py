"""One sandbox in use: tools built, cluster running, engine installed, and the stack that the cluster serves."""

import contextlib
import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import cluster as clusters
from sandbox import nodes, paths, stackfile, toolchain
from sandbox.cluster import Cluster
from sandbox.engine import Engine, needed_tools, project


@dataclass
class Session:
    """Everything that a command works with. `seconds`: what each phase took, for the summary."""

    state: Path
    cluster: Cluster
    engine: Engine
    providers: dict[str, str]
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def open(cls, state: Path | None = None) -> "Session":
        """Build what is missing, start what does not run."""
        built = toolchain.ensure([*needed_tools(), *toolchain.CONTROL_PLANE])
        cluster = clusters.ensure(state or paths.state())
        engine = Engine(cluster.state, cluster.kubeconfig)
        session = cls(cluster.state, cluster, engine, engine.install())
        session.seconds = {"toolchain": built, "control plane": cluster.started_seconds}
        session._install_commands()
        return session

    # ---- the stack that is served ------------------------------------------------------------------------------------

    @property
    def serving(self) -> str:
        """Name of the stack whose nodes the cluster has; empty before the first."""
        record = self.state / "serving.json"
        return str(json.loads(record.read_text())["stack"]) if record.is_file() else ""

    def config_file(self, stack: str, changes: dict[str, Any] | None = None) -> Path:
        """The copy of the stack file, made anew, with `changes` on top; the stack is created when it does not exist."""
        source = stackfile.committed(stack)
        directory = self.state / "config"
        directory.mkdir(exist_ok=True, mode=0o700)
        salt = directory / f"{stack}.salt"
        if not salt.is_file() or stack not in self.engine.stacks(project()):
            if stack in self.engine.stacks(project()):
                self.engine.remove_stack(project(), stack)
            salt.write_text(self.engine.create_stack(project(), stack))
        target = directory / f"Pulumi.{stack}.yaml"
        stackfile.write_copy(source, target, salt.read_text(), changes)
        return target

    def serve(self, stack: str) -> int:
        """Make the cluster that of `stack`: its nodes and storage classes, and nothing of another stack."""
        previous = self.serving
        if previous and previous != stack and self._deployed(previous):
            print(f"the cluster held stack {previous}; it is emptied for {stack}", flush=True)
            self.restart_empty()
        changed = nodes.serve(self.cluster.api, stackfile.committed(stack))
        (self.state / "serving.json").write_text(json.dumps({"stack": stack}))
        if changed:
            print(
                f"simulated nodes: {len(self.cluster.api.list('/api/v1/nodes'))} as in Pulumi.{stack}.yaml", flush=True
            )
        return changed

    def preview_kubeconfig(self, stack: str) -> Path:
        """Kubeconfig for a preview: this cluster's, or an empty second one's while this one holds another stack.

        The provider asks the API server about every object, and would be told how the other stack's objects of the
        same names forbid this stack's.
        """
        other = self.serving
        if not other or other == stack or not self._deployed(other):
            return self.cluster.kubeconfig
        print(f"the cluster holds stack {other}; {stack} is previewed on a second, empty one", flush=True)
        spare = clusters.ensure(clusters.spare(self.state))
        nodes.serve(spare.api, stackfile.committed(stack))
        return spare.kubeconfig

    def restart_empty(self) -> None:
        """A cluster without objects, and no stack that believes otherwise."""
        self.cluster = clusters.restart_empty(self.state)
        self.seconds["control plane"] = self.cluster.started_seconds
        for name in self.engine.stacks(project()):
            self.engine.remove_stack(project(), name)

    def _deployed(self, stack: str) -> bool:
        return stack in self.engine.stacks(project()) and bool(self.engine.state_of(project(), stack))

    # ---- the caller's shell ------------------------------------------------------------------------------------------

    def _install_commands(self) -> None:
        """`pulumi` and `kubectl` for the caller's shell."""
        directory = self.state / "bin"
        directory.mkdir(exist_ok=True)
        kubectl = directory / "kubectl"
        if not kubectl.is_symlink() or kubectl.readlink() != toolchain.binary("kubectl"):
            kubectl.unlink(missing_ok=True)
            kubectl.symlink_to(toolchain.binary("kubectl"))
        wrapper = directory / "pulumi"
        quoted = [shlex.quote(str(part)) for part in (paths.CHECKOUT, paths.VENV / "bin" / "python")]
        text = f'#!/bin/sh\nPYTHONPATH={quoted[0]} exec {quoted[1]} -m sandbox.wrapper "$@"\n'
        if not wrapper.is_file() or wrapper.read_text() != text:
            wrapper.write_text(text)
            wrapper.chmod(0o755)

    def environment(self) -> dict[str, str]:
        """What `make env` exports: the engine's variables, with our commands first on PATH."""
        variables = self.engine.environment()
        return variables | {"PATH": f"{self.state / 'bin'}:{variables['PATH']}", "SANDBOX_STATE": str(self.state)}


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Progress to standard error, for commands whose standard output is read by a program."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
