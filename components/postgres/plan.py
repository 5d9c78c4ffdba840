"""Every number and name of a PostgreSQL cluster, decided."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.minio.plan import MinioPlan, UserName
from components.postgres.parameters import CONNECTION_MEMORY, connection_ceiling, parameters
from components.postgres.settings import BackupSettings, PoolerSettings, PostgresSettings, RestoreSettings
from kube.context import Platform
from kube.errors import Problem
from kube.flows import API_SERVER_PORTS, Addresses, AnyPodIn, Flow, Pods, Port
from kube.names import check_name, sha8
from kube.pod import Resources, Spread, Workload
from kube.quantity import GI, MI, format_bytes, parse_bytes
from kube.secrets import Random, SecretObject

PORT = 5432
STATUS_PORT = 8000
UID = 26  # the user `postgres` of the operand's image
PLUGIN = "barman-cloud.cloudnative-pg.io"
DATABASE = "synapse"
OWNER = "synapse"
OLDEST_MAJOR = 17  # logical slots that follow a failover by PostgreSQL's own means

SWITCHOVER_DELAY = 300
"""Seconds that the old primary may take to send what it has in a planned switchover. Longer is an outage."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """Defaults up to a number of concurrent users. CPU in millicores, sizes in bytes."""

    users: int
    instances: int
    cpu: int
    memory: int
    storage: int
    wal: int
    max_connections: int


BANDS: tuple[Band, ...] = (
    Band(users=1_000, instances=3, cpu=1500, memory=8 * GI, storage=200 * GI, wal=30 * GI, max_connections=400),
    Band(users=5_000, instances=3, cpu=8000, memory=32 * GI, storage=500 * GI, wal=100 * GI, max_connections=800),
    Band(users=10_000, instances=3, cpu=10_000, memory=40 * GI, storage=1000 * GI, wal=150 * GI, max_connections=1200),
    Band(users=20_000, instances=5, cpu=16_000, memory=64 * GI, storage=1500 * GI, wal=200 * GI, max_connections=1600),
)
"""Half of a database node of the three stacks, and less than half of its disk: the LI copy lives on the same nodes.
`max_connections` is about twice what Synapse's processes open by default, so that scaling them restarts no database."""

SIDECAR = Resources(cpu=50, memory=128 * MI, memory_limit=1 * GI)
"""The Barman Cloud plugin beside each instance; its limit is for the parallel parts of a base backup."""
POOLER = Resources(cpu=250, memory=64 * MI, memory_limit=256 * MI)
ROLE_JOB = Resources(cpu=50, memory=64 * MI, memory_limit=128 * MI)


@dataclass(frozen=True, kw_only=True)
class PoolerPlan:
    """PgBouncer in front of the primary."""

    name: str
    settings: PoolerSettings
    workload: Workload
    image: str
    max_client_connections: int

    @property
    def pods(self) -> Pods:
        return Pods.of(self.name, self.workload.namespace, {"cnpg.io/poolerName": self.name})


@dataclass(frozen=True, kw_only=True)
class PostgresPlan:
    """One PostgreSQL cluster. `name` is the Cluster's; `stable_name` stays the same through a restore."""

    name: str
    stable_name: str
    namespace: str
    instances: int
    resources: Resources
    storage: int
    wal: int
    storage_class: str
    image: str
    connections: int
    reserved_connections: int
    max_connections: int
    parameters: Mapping[str, str]
    database: str
    owner: str
    credentials: SecretObject
    backups: BackupSettings
    restore: RestoreSettings | None
    store: MinioPlan
    store_user: UserName
    pooler: PoolerPlan | None
    role_job: Workload | None
    cluster_domain: str
    operator_namespace: str
    api_server: Addresses
    protect: bool
    retain: bool
    pod_defaults: dict[str, Any]

    @property
    def synchronous_standbys(self) -> int:
        """How many copies must have a transaction before its commit returns: 1 of 2, 2 of 4.

        CloudNativePG promotes only if reachable copies + this number > all copies, so that one of those it sees
        surely has the last commit. With half of them, as many servers may be lost as in any quorum: 1 of 3, 2 of 5.
        """
        return (self.instances - 1) // 2

    @property
    def uses_store(self) -> bool:
        """Whether the plugin runs beside the instances."""
        return self.backups.enabled or self.restore is not None

    @property
    def object_store(self) -> str:
        """Name of the ObjectStore: where in S3 this cluster's backups lie."""
        return self.stable_name

    @property
    def primary(self) -> str:
        """The primary itself, without a pooler."""
        return f"{self.name}-rw.{self.namespace}.svc.{self.cluster_domain}"

    @property
    def host(self) -> str:
        """Where clients connect: always leads to the primary."""
        if self.pooler is None:
            return self.primary
        return f"{self.pooler.name}.{self.namespace}.svc.{self.cluster_domain}"

    @property
    def port(self) -> int:
        return PORT

    @property
    def ca_secret(self) -> str:
        """Secret of the operator; its ca.crt signs the servers' certificates."""
        return f"{self.name}-ca"

    @property
    def workloads(self) -> tuple[Workload, ...]:
        instances = Workload(
            name=self.name,
            namespace=self.namespace,
            component="database",
            pool="database",
            replicas=self.instances,
            resources=self.resources,
            sidecars=(SIDECAR,) if self.uses_store else (),
            spread=Spread.REQUIRE,
            uid=UID,
        )
        return (
            instances,
            *((self.pooler.workload,) if self.pooler else ()),
            *((self.role_job,) if self.role_job else ()),
        )

    @property
    def pods(self) -> Pods:
        """Instances, and the operator's Jobs that make and join them (they carry the same label)."""
        return Pods.of(self.stable_name, self.namespace, {"cnpg.io/cluster": self.name})

    @property
    def flows(self) -> tuple[Flow, ...]:
        flows = [
            Flow(
                source=self.pods,
                target=self.pods,
                ports=(Port(PORT), Port(STATUS_PORT)),
                why="replication, joins, and the primary's check that it is not cut off from the others",
            ),
            Flow(
                source=AnyPodIn(name="CloudNativePG", namespace=self.operator_namespace),
                target=self.pods,
                ports=(Port(PORT), Port(STATUS_PORT)),
                why="the operator asks every instance for its state and tells it what to be",
            ),
            Flow(
                source=self.pods,
                target=self.api_server,
                ports=API_SERVER_PORTS,
                why="the instance manager is process 1 of every database pod: it reads its Cluster and holds the lease",
            ),
        ]
        if self.uses_store:
            flows.append(self.store.client(self.pods, "WAL archive, base backups, restores"))
        if self.role_job:
            job = Pods.of(self.role_job.name, self.namespace, self.role_job.selector)
            flows.append(Flow(source=job, target=self.pods, ports=(Port(PORT),), why="sets the role's defaults"))
        return tuple(flows)

    def client(self, source: Pods, why: str) -> Flow:
        """The flow of a client of `host`."""
        target = self.pooler.pods if self.pooler else self.pods
        return Flow(source=source, target=target, ports=(Port(PORT),), why=why)

    def direct_client(self, source: Pods, why: str) -> Flow:
        """The flow of a client of `primary`, past the pooler (replication, maintenance)."""
        return Flow(source=source, target=self.pods, ports=(Port(PORT),), why=why)


def band(users: int) -> Band:
    """Defaults for so many concurrent users."""
    return next((b for b in BANDS if users <= b.users), BANDS[-1])


def needs(settings: PostgresSettings) -> frozenset[str]:
    """Operators whose custom resources this system has (names of the `operators` section)."""
    backups = {"barman_cloud_plugin", "cert_manager"} if settings.backups.enabled or settings.restore else set()
    return frozenset({"cloudnative_pg", *backups})


def cluster_name(stable_name: str, restore: RestoreSettings | None) -> str:
    """A restored cluster is another one: its name tells from where, and its archive is a folder of its own."""
    if restore is None:
        return stable_name
    return check_name(f"{stable_name}-{sha8(f'{restore.backup_server_name} {restore.target_time}')}", reserve=15)


def _pooler(settings: PoolerSettings, name: str, platform: Platform, connections: int) -> PoolerPlan:
    pooler = f"{name}-pooler"
    return PoolerPlan(
        name=pooler,
        settings=settings,
        workload=Workload(
            name=pooler,
            namespace=platform.namespace,
            component="pooler",
            pool="application",
            replicas=settings.instances,
            resources=POOLER,
            uid=998,
        ),
        image=platform.images.ref("pgbouncer"),
        # Any one of them may have to carry all clients for a moment.
        max_client_connections=connections + 100,
    )


def make_plan(
    settings: PostgresSettings,
    platform: Platform,
    *,
    connections: int,
    store: MinioPlan,
    operator_namespace: str,
) -> PostgresPlan:
    """Decide the main cluster. `connections`: the most that all clients together may open; `store`: for backups."""
    defaults = band(platform.concurrent_users)
    stable_name = "postgres-main"
    name = cluster_name(stable_name, settings.restore)
    resources = (
        settings.resources.resolved()
        if settings.resources
        # Request and limit are equal: a database is not to live on memory that may be taken away.
        else Resources(cpu=defaults.cpu, memory=defaults.memory, memory_limit=defaults.memory)
    )
    wal = parse_bytes(settings.wal_storage) if settings.wal_storage else defaults.wal
    max_connections = settings.max_connections or defaults.max_connections
    role_job = Workload(
        name=f"{stable_name}-role",
        namespace=platform.namespace,
        component="postgres-role",
        pool="application",
        replicas=1,
        resources=ROLE_JOB,
        uid=UID,
    )
    return PostgresPlan(
        name=name,
        stable_name=stable_name,
        namespace=platform.namespace,
        instances=settings.instances or defaults.instances,
        resources=resources,
        storage=parse_bytes(settings.storage) if settings.storage else defaults.storage,
        wal=wal,
        storage_class=platform.storage.database,
        image=platform.images.ref("postgres"),
        connections=connections,
        reserved_connections=settings.reserved_connections,
        max_connections=max_connections,
        parameters=parameters(
            memory=resources.memory, wal=wal, max_connections=max_connections, overrides=settings.parameters
        ),
        database=DATABASE,
        owner=OWNER,
        credentials=SecretObject(
            name=f"{stable_name}-owner",
            namespace=platform.namespace,
            entries={"username": OWNER, "password": Random(id=f"{stable_name}-owner", length=48)},
            type="kubernetes.io/basic-auth",
            labels={"cnpg.io/reload": "true"},  # the operator sets the role's password again when this changes
        ),
        backups=settings.backups,
        restore=settings.restore,
        store=store,
        store_user="postgres-backups",
        pooler=_pooler(settings.pooler, name, platform, connections) if settings.pooler.enabled else None,
        role_job=role_job if settings.pooler.enabled and settings.pooler.role_settings else None,
        cluster_domain=platform.cluster_domain,
        operator_namespace=operator_namespace,
        api_server=platform.api_server,
        protect=platform.safety.protect and "database_name" not in platform.safety.confirmed,
        retain=platform.safety.protect,
        pod_defaults=platform.pod_defaults,
    )


def check(plan: PostgresPlan, *, disk: int | None) -> list[Problem]:
    """Rules beyond one field. `disk`: bytes of the smallest database node's disk, if the stack file tells."""
    return [*_check_connections(plan), *_check_image(plan), *_check_sizes(plan, disk)]


def _check_connections(plan: PostgresPlan) -> list[Problem]:
    problems = []
    path = "postgres.max_connections"
    reserve, available = plan.reserved_connections, plan.max_connections
    needed = plan.connections + reserve
    asked = f"{plan.connections} connections of all processes at their autoscaling maximum"
    if plan.pooler is not None:
        pooler = plan.pooler.settings
        held = pooler.instances * pooler.server_connections
        after_loss = (pooler.instances - 1) * pooler.server_connections
        if pooler.mode == "session" and after_loss < plan.connections:
            rule = (
                f"in mode session every client keeps its connection: {asked} > {after_loss} that "
                f"{pooler.instances - 1} of {pooler.instances} poolers hold; raise it"
            )
            problems.append(Problem(path="postgres.pooler.server_connections", rule=rule))
        needed = held + reserve
        asked = f"{held} connections of {pooler.instances} poolers with {pooler.server_connections} each"
    if needed > available:
        rule = (
            f"connection sum too large: {asked} + {reserve} reserved = {needed} > {available}; raise max_connections "
            "(restarts the instances one by one), or lower cp_max or the number of processes"
        )
        problems.append(Problem(path=path, rule=rule))
    ceiling = connection_ceiling(plan.resources.memory_limit)
    if available > ceiling:
        memory = format_bytes(plan.resources.memory_limit)
        rule = (
            f"connection sum too large for the memory: {available} connections × {format_bytes(CONNECTION_MEMORY)} = "
            f"{available * CONNECTION_MEMORY / GI:.1f}Gi, and half of the {memory} of one instance carries {ceiling}; "
            "give the instances more memory or accept fewer connections"
        )
        problems.append(Problem(path=path, rule=rule))
    return problems


def _check_image(plan: PostgresPlan) -> list[Problem]:
    tag = plan.image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    major = re.match(r"\d+", tag)
    path = "images.overrides.postgres"
    if major is None:
        rule = "the tag must begin with PostgreSQL's version (18.6-…): CloudNativePG reads it from there"
        return [Problem(path=path, rule=rule, value=plan.image)]
    if int(major.group()) < OLDEST_MAJOR:
        rule = f"PostgreSQL {OLDEST_MAJOR} or newer is needed: older ones lose logical replication slots in a failover"
        return [Problem(path=path, rule=rule, value=plan.image)]
    return []


def _check_sizes(plan: PostgresPlan, disk: int | None) -> list[Problem]:
    if disk is None or plan.storage + plan.wal <= disk:
        return []
    sizes = f"{format_bytes(plan.storage)} data + {format_bytes(plan.wal)} WAL"
    rule = f"{sizes} of one instance do not fit the disk of a database node ({format_bytes(disk)})"
    return [Problem(path="postgres.storage", rule=rule)]
