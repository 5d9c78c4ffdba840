"""Node pools: what machines the operator has. Data in the stack file, checked by stack.capacity."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from kube.names import POOL_LABEL
from kube.quantity import Size, parse_bytes
from kube.settings import Settings


class Role(StrEnum):
    """What a pool of nodes is for. Pods name a role; the scheduler finds the node."""

    CONTROL_PLANE = "control-plane"
    APPLICATION = "application"
    DATABASE = "database"
    STORAGE = "storage"
    CALLS = "calls"


class NodePool(Settings):
    """Equal nodes of one role."""

    role: Role = Field(description="What runs here. Pods select nodes by this role.")
    count: int = Field(ge=1, description="Number of nodes. The plan must fit with one node of each pool lost.")
    cpu: int = Field(ge=1, description="vCPU of one node.")
    memory: Size = Field(description="Memory of one node, for example 16Gi.")
    disk: Size | None = Field(default=None, description="Local data disk of one node; informative.")
    labels: dict[str, str] = Field(default_factory=dict, description="Further labels that the nodes carry.")
    taints: tuple[str, ...] = Field(
        default=(), description="Further taints as key=value:Effect. Pods of ours do not tolerate them by themselves."
    )

    @property
    def tainted(self) -> bool:
        """Whether nodes of this role are reserved (taint synapse-platform/pool=<role>:NoSchedule)."""
        return self.role not in (Role.APPLICATION, Role.CONTROL_PLANE)

    def all_labels(self) -> dict[str, str]:
        control_plane = {"node-role.kubernetes.io/control-plane": ""} if self.role is Role.CONTROL_PLANE else {}
        return {POOL_LABEL: self.role.value, **control_plane, **self.labels}

    def all_taints(self) -> list[dict[str, str]]:
        taints = list(self.taints)
        if self.role is Role.CONTROL_PLANE:
            taints.append("node-role.kubernetes.io/control-plane=:NoSchedule")
        elif self.tainted:
            taints.append(f"{POOL_LABEL}={self.role.value}:NoSchedule")
        result = []
        for taint in taints:
            key_value, _, effect = taint.rpartition(":")
            key, _, value = key_value.partition("=")
            result.append({"key": key, "effect": effect} | ({"value": value} if value else {}))
        return result


def smallest_disk(pools: Mapping[str, NodePool], role: Role) -> int | None:
    """Bytes of the smallest data disk among the nodes of a role; None when no pool of that role tells its disk."""
    return min((parse_bytes(p.disk) for p in pools.values() if p.role is role and p.disk), default=None)
