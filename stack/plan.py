"""The whole plan of a stack: each system's plan, then the checks that span systems."""

from dataclasses import dataclass

from components.minio import plan as minio
from components.minio.plan import MinioPlan
from components.redis import plan as redis
from components.redis.plan import RedisPlan
from components.synapse import checks as synapse_checks
from components.synapse.processes import Processes, plan_processes
from kube.context import Platform, Safety, StorageClasses
from kube.errors import Problem, StackError
from kube.flows import Flow
from kube.pod import Workload
from stack.capacity import check_capacity
from stack.images import images
from stack.nodes import Role, smallest_disk
from stack.settings import StackSettings


@dataclass(frozen=True, kw_only=True)
class StackPlan:
    """Everything decided: what components declare, and what reports and tests read."""

    settings: StackSettings
    platform: Platform
    redis_synapse: RedisPlan
    redis_livekit: RedisPlan
    minio: MinioPlan
    processes: Processes

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Every pod that the platform runs, for capacity and for the report."""
        return (*self.redis_synapse.workloads, *self.redis_livekit.workloads, *self.minio.workloads)

    @property
    def flows(self) -> tuple[Flow, ...]:
        """Who talks to whom."""
        return (*self.redis_synapse.flows, *self.redis_livekit.flows, *self.minio.flows)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Our namespaces, each with default deny."""
        return (self.platform.namespace,)


def _platform(settings: StackSettings, stack: str) -> Platform:
    return Platform(
        stack=stack,
        server_name=settings.server_name,
        concurrent_users=settings.concurrent_users,
        federation=settings.federation.enabled,
        namespace=settings.namespace,
        cluster_domain=settings.cluster_domain,
        images=images(settings.images),
        storage=StorageClasses(**settings.storage_classes.model_dump()),
        safety=Safety(protect=settings.safety.protect, confirmed=frozenset(settings.safety.confirm)),
        pull_secrets=settings.images.pull_secrets,
        host_aliases=tuple({"ip": a.ip, "hostnames": list(a.hostnames)} for a in settings.host_aliases),
    )


def _check_settings(settings: StackSettings) -> list[Problem]:
    """Rules over several sections that can be judged before anything is planned."""
    problems: list[Problem] = []
    if settings.federation.allow and not settings.federation.enabled:
        problems.append(
            Problem(
                path="federation.allow",
                rule="has no meaning while federation.enabled is false; remove it or enable federation",
                value=list(settings.federation.allow),
            )
        )
    return problems


def make_plan(settings: StackSettings, stack: str) -> StackPlan:
    """Decide everything for this stack. StackError with every violated rule at once."""
    source = f"Pulumi.{stack}.yaml"
    problems = _check_settings(settings)
    platform = _platform(settings, stack)
    plan = StackPlan(
        settings=settings,
        platform=platform,
        redis_synapse=redis.make_plan("synapse", settings.redis.synapse, platform, eviction="allkeys-lru"),
        # LiveKit keeps who is in which room here: better a refused write than a forgotten room.
        redis_livekit=redis.make_plan("livekit", settings.redis.livekit, platform, eviction="noeviction"),
        minio=minio.make_plan(settings.minio, platform),
        # First of Synapse: PostgreSQL must hold the sum of their connections.
        processes=plan_processes(settings.synapse, platform),
    )
    problems += minio.check(settings.minio, plan.minio, disk=smallest_disk(settings.node_pools, Role.STORAGE))
    problems += synapse_checks.check(
        settings.synapse,
        federation=platform.federation,
        application_disk=smallest_disk(settings.node_pools, Role.APPLICATION),
    )
    problems += check_capacity(settings.node_pools, plan.workloads)
    if problems:
        raise StackError(source, problems)
    return plan
