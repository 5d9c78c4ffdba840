"""`python -m sandbox.node.supervisor <state>`: the supervisor of a cluster with a real node."""

import sys
import time
from pathlib import Path

from sandbox.api import core
from sandbox.components import Component
from sandbox.node.cleanup import connected, remove_cgroups
from sandbox.node.components import prepare
from sandbox.node.layout import NODE_NAME
from sandbox.supervisor import Supervisor


class NodeSupervisor(Supervisor):
    """Starts the node first: its cable carries the address at which the API server answers."""

    def prepare(self) -> tuple[list[Component], Path]:
        return prepare(self.state)

    def bring_up(self) -> None:
        self.record("starting", "the node's namespaces")
        remove_cgroups(self.state)  # of a run that was killed
        self.start_named("node")
        self.wait_until(lambda: connected(self.state))
        api = self.bring_up_control_plane()
        self.start_named("volumes")
        self.record("starting", "waiting for the node to be ready")

        def ready() -> bool:
            node = api.get(core("nodes", name=NODE_NAME)) or {}
            conditions = {c["type"]: c["status"] for c in node.get("status", {}).get("conditions", [])}
            return conditions.get("Ready") == "True"

        self.wait_until(ready)
        self.seconds["ready"] = time.monotonic() - self.began


if __name__ == "__main__":
    sys.exit(NodeSupervisor(Path(sys.argv[1])).run())
