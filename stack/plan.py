"""The whole plan of a stack: each system's plan, then the checks that span systems."""

import difflib
from dataclasses import dataclass
from functools import cached_property

from components.edge import check as edge_check
from components.edge import plan as edge
from components.edge.plan import EdgePlan, HostRoute
from components.minio import plan as minio
from components.minio.plan import MinioPlan
from components.network import plan as network
from components.network.plan import NamespacePlan, NetworkPlan
from components.operators import plan as operators
from components.operators.plan import OperatorsPlan
from components.postgres import plan as postgres
from components.postgres.plan import PostgresPlan
from components.redis import plan as redis
from components.redis.plan import RedisPlan
from components.router.plan import FEDERATION_PORT, PUBLIC_PORT, RouterPlan
from components.synapse import checks as synapse_checks
from components.synapse import plan as synapse
from components.synapse.plan import SynapsePlan
from components.synapse.processes import Processes, plan_processes
from kube.context import Platform, Safety, StorageClasses
from kube.errors import Problem, StackError
from kube.flows import Flow
from kube.pod import Workload
from stack import charts
from stack.capacity import check_capacity
from stack.images import images, read_lock
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
    postgres: PostgresPlan
    synapse: SynapsePlan
    operators: OperatorsPlan
    edge: EdgePlan

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Every pod that the platform runs, for capacity and for the report."""
        return (
            *self.redis_synapse.workloads,
            *self.redis_livekit.workloads,
            *self.minio.workloads,
            *self.postgres.workloads,
            *self.synapse.workloads,
            *self.operators.workloads,
            *self.edge.workloads,
        )

    @property
    def flows(self) -> tuple[Flow, ...]:
        """Who talks to whom."""
        return (
            *self.redis_synapse.flows,
            *self.redis_livekit.flows,
            *self.minio.flows,
            *self.postgres.flows,
            *self.synapse.flows,
            *self.edge.flows,
        )

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Our namespaces, each with default deny."""
        return tuple(namespace.name for namespace in self.network.namespaces)

    @cached_property
    def network(self) -> NetworkPlan:
        """Namespaces with their Pod Security level, and every policy in them."""
        ours = (NamespacePlan(name=self.platform.namespace),)
        return network.make_plan(ours, self.flows, protect=self.platform.safety.protect)


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
        api_server=network.api_server(settings.network),
    )


def _public_hosts(router: RouterPlan) -> tuple[HostRoute, ...]:
    """Every Service that is reached from outside, under a host of its own."""
    return (
        HostRoute(
            name="homeserver",
            service=router.name,
            namespace=router.namespace,
            port=PUBLIC_PORT,
            federation_port=FEDERATION_PORT if router.federation else None,
            pods=router.pods,
            why="clients' requests, and those of other servers",
        ),
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
    locked = read_lock()
    for name in settings.images.overrides:
        if name not in locked:
            close = difflib.get_close_matches(name, locked, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f" (it has: {', '.join(sorted(locked))})"
            problems.append(Problem(path=f"images.overrides.{name}", rule=f"is not in apps/images.lock{hint}"))
    return problems


def make_plan(settings: StackSettings, stack: str) -> StackPlan:
    """Decide everything for this stack. StackError with every violated rule at once."""
    source = f"Pulumi.{stack}.yaml"
    problems = _check_settings(settings)
    platform = _platform(settings, stack)
    needed = edge.needs(settings.edge) | postgres.needs(settings.postgres)
    installed = operators.make_plan(settings.operators, platform, charts.read_lock(), needed=needed)
    processes = plan_processes(settings.synapse, platform)
    store = minio.make_plan(settings.minio, platform)
    redis_synapse = redis.make_plan("synapse", settings.redis.synapse, platform, eviction="allkeys-lru")
    database = postgres.make_plan(
        settings.postgres,
        platform,
        connections=processes.connections,
        store=store,
        operator_namespace=installed.namespace("cloudnative_pg"),
    )
    homeserver = synapse.make_plan(
        settings.synapse,
        platform,
        processes,
        database=database,
        redis=redis_synapse,
        media=store,
        federation_allow=settings.federation.allow,
    )
    public = _public_hosts(homeserver.router)
    plan = StackPlan(
        settings=settings,
        platform=platform,
        redis_synapse=redis_synapse,
        # LiveKit keeps who is in which room here: better a refused write than a forgotten room.
        redis_livekit=redis.make_plan("livekit", settings.redis.livekit, platform, eviction="noeviction"),
        minio=store,
        processes=processes,
        postgres=database,
        synapse=homeserver,
        operators=installed,
        edge=edge.make_plan(settings.edge, platform, installed, public),
    )
    problems += minio.check(settings.minio, plan.minio, disk=smallest_disk(settings.node_pools, Role.STORAGE))
    problems += postgres.check(plan.postgres, disk=smallest_disk(settings.node_pools, Role.DATABASE))
    problems += synapse_checks.check(
        settings.synapse,
        federation=platform.federation,
        application_disk=smallest_disk(settings.node_pools, Role.APPLICATION),
    )
    problems += operators.check(settings.operators, platform)
    problems += edge_check.check(settings.edge, platform, public, router_hops=settings.synapse.router.trusted_hops)
    problems += check_capacity(settings.node_pools, plan.workloads)
    if problems:
        raise StackError(source, problems)
    return plan
