"""Do the pods fit the nodes, with one node of each pool lost, and how full are they?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kube.errors import Problem
from kube.pod import Spread, Workload
from kube.quantity import GI, MI, format_bytes, format_cpu, parse_bytes
from stack.nodes import NodePool
from stack.settings import StackSettings

# What kubelet, container runtime, kube-proxy, CNI and log collection take from a node before any pod of ours runs.
SYSTEM_CPU = 300
SYSTEM_MEMORY = 1 * GI
# Kubernetes' own default; the real limit of a node.
MAX_PODS = 110


@dataclass(frozen=True, kw_only=True)
class RoleCapacity:
    """One role's room and demand. CPU in millicores, memory in bytes, sums over all nodes of the role."""

    role: str
    nodes: int
    cpu: int
    memory: int
    cpu_after_loss: int
    memory_after_loss: int
    largest_cpu: int
    largest_memory: int
    cpu_demand: int
    memory_demand: int
    pods: int

    @property
    def cpu_fill(self) -> float:
        """Requested share of what is left after the loss of one node."""
        return self.cpu_demand / self.cpu_after_loss if self.cpu_after_loss else float("inf")

    @property
    def memory_fill(self) -> float:
        return self.memory_demand / self.memory_after_loss if self.memory_after_loss else float("inf")


def _room(pool: NodePool) -> tuple[int, int]:
    return pool.cpu * 1000 - SYSTEM_CPU, parse_bytes(pool.memory) - SYSTEM_MEMORY


def role_capacity(pools: Mapping[str, NodePool], workloads: Iterable[Workload]) -> list[RoleCapacity]:
    """Room and demand by role. One node of each pool is counted as lost; autoscaled workloads at their maximum."""
    demand = list(workloads)
    result = []
    for role in sorted({p.role.value for p in pools.values()} | {w.pool for w in demand}):
        mine = [p for p in pools.values() if p.role.value == role]
        ours = [w for w in demand if w.pool == role]
        rooms = [(p.count, *_room(p)) for p in mine]
        result.append(
            RoleCapacity(
                role=role,
                nodes=sum(count for count, _, _ in rooms),
                cpu=sum(count * cpu for count, cpu, _ in rooms),
                memory=sum(count * memory for count, _, memory in rooms),
                cpu_after_loss=sum((count - 1) * cpu for count, cpu, _ in rooms),
                memory_after_loss=sum((count - 1) * memory for count, _, memory in rooms),
                largest_cpu=max((cpu for _, cpu, _ in rooms), default=0),
                largest_memory=max((memory for _, _, memory in rooms), default=0),
                cpu_demand=sum(w.cpu * w.peak_replicas for w in ours),
                memory_demand=sum(w.memory * w.peak_replicas for w in ours),
                pods=sum(w.peak_replicas for w in ours),
            )
        )
    return result


def check_capacity(pools: Mapping[str, NodePool], workloads: Iterable[Workload]) -> list[Problem]:
    """Every way in which the pods do not fit: which pool lacks how much of what."""
    demand = list(workloads)
    problems = []
    for role in role_capacity(pools, demand):
        names = ", ".join(sorted(name for name, p in pools.items() if p.role.value == role.role))
        path = f"node_pools.{names}" if names else "node_pools"
        if not role.nodes:
            problems.append(Problem(path=path, rule=f"needs a pool with role {role.role}: {role.pods} pods select it"))
            continue
        lost = "with one node of each pool lost"
        if role.cpu_demand > role.cpu_after_loss:
            lack = format_cpu(role.cpu_demand - role.cpu_after_loss)
            have = f"{format_cpu(role.cpu_demand)} requested, {format_cpu(max(role.cpu_after_loss, 0))} there"
            problems.append(Problem(path=path, rule=f"lacks {lack} CPU {lost}: {have}"))
        if role.memory_demand > role.memory_after_loss:
            lack = format_bytes(-(-(role.memory_demand - role.memory_after_loss) // MI) * MI)
            have = f"{role.memory_demand / GI:.1f}Gi requested, {max(role.memory_after_loss, 0) / GI:.1f}Gi there"
            problems.append(Problem(path=path, rule=f"lacks {lack} memory {lost}: {have}"))
        for work in (w for w in demand if w.pool == role.role):
            if work.cpu > role.largest_cpu or work.memory > role.largest_memory:
                size = f"{format_cpu(work.cpu)} CPU, {format_bytes(work.memory)}"
                problems.append(Problem(path=path, rule=f"no node is large enough for one pod of {work.name} ({size})"))
            if work.spread is Spread.REQUIRE and work.peak_replicas > role.nodes:
                rule = f"{work.name} wants {work.peak_replicas} different nodes of role {role.role}, {role.nodes} exist"
                problems.append(Problem(path=path, rule=rule))
    return problems


def node_objects(settings: StackSettings) -> list[dict[str, Any]]:
    """Kubernetes Node manifests, one for each machine of the pools: what the sandbox simulates."""
    nodes = []
    for name, pool in settings.node_pools.items():
        allocatable_cpu, allocatable_memory = _room(pool)
        for index in range(pool.count):
            node = f"{name}-{index + 1}"
            capacity = {"cpu": str(pool.cpu), "memory": pool.memory, "pods": str(MAX_PODS)}
            if pool.disk:
                capacity["ephemeral-storage"] = pool.disk
            allocatable = {
                **capacity,
                "cpu": format_cpu(allocatable_cpu),
                "memory": format_bytes(allocatable_memory),
            }
            nodes.append(
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "metadata": {
                        "name": node,
                        "labels": {
                            "kubernetes.io/hostname": node,
                            "kubernetes.io/os": "linux",
                            "kubernetes.io/arch": "amd64",
                            **pool.all_labels(),
                        },
                    },
                    "spec": {"taints": pool.all_taints()},
                    "status": {"capacity": capacity, "allocatable": allocatable},
                }
            )
    return nodes
