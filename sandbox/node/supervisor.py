"""`python -m sandbox.node.supervisor <state>`: the supervisor of a cluster with real nodes."""

import sys
import time
from pathlib import Path

from sandbox.api import core
from sandbox.components import Component
from sandbox.node.cleanup import connected, remove_cgroups
from sandbox.node.components import prepare
from sandbox.node.layout import read_nodes
from sandbox.supervisor import Supervisor


class NodeSupervisor(Supervisor):
    """Starts the nodes first: their network has the address at which the API server answers."""

    def prepare(self) -> tuple[list[Component], Path]:
        return prepare(self.state)

    def bring_up(self) -> None:
        self.record("starting", "the nodes' namespaces")
        remove_cgroups(self.state)  # of a run that was killed
        self.start_named("nodes")
        self.wait_until(lambda: connected(self.state))
        api = self.bring_up_control_plane()
        self.start_named("volumes")
        self.record("starting", "waiting for the nodes to be ready")
        wanted = {node.name for node in read_nodes(self.state)}

        def ready() -> bool:
            found = set()
            for node in api.list(core("nodes")):
                conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
                if conditions.get("Ready") == "True":
                    found.add(node["metadata"]["name"])
            return wanted <= found

        self.wait_until(ready)
        self.seconds["ready"] = time.monotonic() - self.began


if __name__ == "__main__":
    sys.exit(NodeSupervisor(Path(sys.argv[1])).run())
