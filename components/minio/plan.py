"""Every number and name of object storage, decided."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from components.minio.settings import DRIVES, SERVERS, ExternalSettings, MinioSettings
from components.minio.settings import UserName as UserName  # part of the interface: credentials are asked for by it
from kube.context import Platform
from kube.errors import Problem
from kube.flows import Addresses, Flow, Pods, Port
from kube.names import check_name
from kube.pod import Resources, Spread, Workload
from kube.quantity import GI, MI, format_bytes, parse_bytes
from kube.secrets import FromConfig, Join, Random, Rule, SecretObject, TlsCa, TlsCert, TlsKey

NAME = "minio"
HEADLESS = "minio-nodes"
PORT = 9000
UID = 1000  # any number would do: volumes are handed to this group by the kubelet
COMPONENT = "minio"

INTERNAL_CA = TlsCa(id="internal-ca", common_name="synapse-platform internal CA")
"""Authority for connections inside the platform. Who shows this very rule gets the same authority."""


@dataclass(frozen=True, kw_only=True)
class User:
    """One consumer: its bucket, and whether it may write there."""

    name: UserName
    bucket: str
    writes: bool


USERS: tuple[User, ...] = (
    User(name="synapse-media", bucket="synapse-media", writes=True),
    User(name="li-media-reader", bucket="synapse-media", writes=False),
    User(name="postgres-backups", bucket="postgres-backups", writes=True),
    User(name="postgres-li-backups", bucket="postgres-li-backups", writes=True),
    User(name="loki", bucket="loki", writes=True),
    User(name="media-backup", bucket="media-backup", writes=True),
    User(name="media-backup-reader", bucket="synapse-media", writes=False),
)
"""The copy of the media reads with one key and writes with another, so that no key opens two buckets."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """Defaults up to a number of concurrent users."""

    users: int
    pools: int
    drive: int
    resources: Resources


BANDS: tuple[Band, ...] = (
    Band(users=1_000, pools=1, drive=400 * GI, resources=Resources(cpu=1000, memory=3 * GI, memory_limit=4 * GI)),
    Band(users=5_000, pools=2, drive=800 * GI, resources=Resources(cpu=2000, memory=8 * GI, memory_limit=10 * GI)),
    Band(users=10_000, pools=2, drive=1600 * GI, resources=Resources(cpu=3000, memory=10 * GI, memory_limit=12 * GI)),
    Band(users=20_000, pools=3, drive=1600 * GI, resources=Resources(cpu=4000, memory=16 * GI, memory_limit=20 * GI)),
)
"""Sized for the machines of the three stacks: a server takes about half of a storage node, its drives fit the disk."""

SETUP = Resources(cpu=50, memory=64 * MI, memory_limit=256 * MI)


@dataclass(frozen=True, kw_only=True)
class TenantPlan:
    """The servers of the internal store. Sizes in bytes."""

    pools: tuple[Workload, ...]
    setup: Workload
    volumes: tuple[str, ...]
    command: tuple[str, ...]
    client_command: tuple[str, ...]
    image: str
    parity: int
    drive_size: int
    storage_class: str
    root: SecretObject
    tls: SecretObject
    client_config: SecretObject
    protect: bool
    pod_defaults: dict[str, Any]

    @property
    def erasure_set(self) -> int:
        """Drives over which one object is spread: all of a pool."""
        return SERVERS * DRIVES

    @property
    def read_quorum(self) -> int:
        """Drives of a pool that must answer for its objects to be readable."""
        return self.erasure_set - self.parity

    @property
    def write_quorum(self) -> int:
        """Drives of a pool that must answer for a write: one more than half where data and parity are equal."""
        return self.read_quorum + 1 if self.read_quorum == self.parity else self.read_quorum

    @property
    def servers_lost_writing(self) -> int:
        """Servers of one pool that may be gone while writes go on. The disruption budget stays within it."""
        return (self.erasure_set - self.write_quorum) // DRIVES

    @property
    def servers_lost_reading(self) -> int:
        """Servers of one pool that may be gone while everything stays readable."""
        return self.parity // DRIVES

    @property
    def usable(self) -> int:
        """Bytes that objects may fill, over all pools."""
        return len(self.pools) * self.read_quorum * self.drive_size


@dataclass(frozen=True, kw_only=True)
class MinioPlan:
    """Object storage as its clients see it. `tenant` is None when the store is external."""

    name: str
    namespace: str
    endpoint: str
    region: str
    path_style: bool
    ca: SecretObject | None
    buckets: dict[str, str]
    secrets: dict[str, SecretObject]
    tenant: TenantPlan | None
    target: Pods | Addresses
    port: int

    def bucket(self, user: UserName) -> str:
        """Name of the bucket that this user works on."""
        return self.buckets[user]

    def credentials(self, user: UserName) -> SecretObject:
        """The user's Secret (keys `access_key`, `secret_key`), in our main namespace.

        A consumer elsewhere declares `dataclasses.replace(…, namespace=…)`: the rules give it the same values.
        """
        return self.secrets[user]

    @property
    def pods(self) -> Pods | None:
        return self.target if isinstance(self.target, Pods) else None

    @property
    def workloads(self) -> tuple[Workload, ...]:
        return (*self.tenant.pools, self.tenant.setup) if self.tenant else ()

    @property
    def flows(self) -> tuple[Flow, ...]:
        if self.tenant is None or self.pods is None:
            return ()
        return (
            Flow(
                source=self.pods,
                target=self.pods,
                ports=(Port(PORT),),
                why="every server reads and writes the drives of the others",
            ),
            self.client(
                Pods.of(self.tenant.setup.name, self.namespace, self.tenant.setup.selector), "makes buckets and users"
            ),
        )

    def client(self, source: Pods, why: str) -> Flow:
        """The flow of a client."""
        return Flow(source=source, target=self.target, ports=(Port(self.port),), why=why)


def band(users: int) -> Band:
    """Defaults for so many concurrent users."""
    return next((b for b in BANDS if users <= b.users), BANDS[-1])


def _secret(user: User, namespace: str, external: ExternalSettings | None) -> SecretObject:
    entries: dict[str, Rule | str]
    if external is not None and user.name in external.users:
        entries = {
            "access_key": external.users[user.name].access_key,
            "secret_key": FromConfig(path=f"minio.external.users.{user.name}.secret_key"),
        }
    else:
        # Servers accept at most 40 characters here.
        entries = {"access_key": user.name, "secret_key": Random(id=f"{NAME}-{user.name}", length=40)}
    # The label makes CloudNativePG reload what it has read of the Secret; for all others it means nothing.
    return SecretObject(
        name=f"{NAME}-{user.name}", namespace=namespace, entries=entries, labels={"cnpg.io/reload": "true"}
    )


def _program(image: str) -> tuple[str, ...]:
    """The server's binary by the image's name: forks of MinIO renamed it."""
    return ("minio",) if "minio" in image.rpartition("/")[2] else ("silo",)


def _tenant(settings: MinioSettings, platform: Platform) -> TenantPlan:
    defaults = band(platform.concurrent_users)
    count = settings.pools or defaults.pools
    resources = settings.resources.resolved() if settings.resources else defaults.resources
    pools = tuple(
        Workload(
            name=check_name(f"{NAME}-pool-{index}", reserve=3),
            namespace=platform.namespace,
            component=COMPONENT,
            pool="storage",
            replicas=SERVERS,
            resources=resources,
            spread=Spread.REQUIRE,
            uid=UID,
        )
        for index in range(count)
    )
    domain = platform.service(HEADLESS)
    # Ellipses are MinIO's own notation; every server must be started with the very same list.
    drives = f"/data{{0...{DRIVES - 1}}}"
    volumes = tuple(f"https://{pool.name}-{{0...{SERVERS - 1}}}.{domain}:{PORT}{drives}" for pool in pools)
    service = platform.service(NAME)
    certificate = TlsCert(
        id=NAME,
        ca=INTERNAL_CA,
        # The wildcard covers the servers of pools that are added later: no new certificate, no downtime.
        dns_names=(service, f"{NAME}.{platform.namespace}.svc", NAME, f"*.{domain}", "localhost"),
    )
    root = Random(id=f"{NAME}-root", length=40)
    image = platform.images.ref("minio")
    return TenantPlan(
        pools=pools,
        setup=Workload(
            name=f"{NAME}-setup",
            namespace=platform.namespace,
            component=f"{COMPONENT}-setup",
            pool="storage",
            replicas=1,
            resources=SETUP,
            uid=UID,
        ),
        volumes=volumes,
        command=settings.command or _program(image),
        client_command=settings.client_command,
        image=image,
        parity=settings.parity,
        drive_size=parse_bytes(settings.drive_size) if settings.drive_size else defaults.drive,
        storage_class=platform.storage.object,
        root=SecretObject(
            name=f"{NAME}-root", namespace=platform.namespace, entries={"user": "platform-root", "password": root}
        ),
        tls=SecretObject(
            name=f"{NAME}-tls",
            namespace=platform.namespace,
            entries={"tls.crt": certificate, "tls.key": TlsKey(of=certificate), "ca.crt": INTERNAL_CA},
        ),
        client_config=SecretObject(
            name=f"{NAME}-client",
            namespace=platform.namespace,
            entries={
                "config.json": Join(
                    parts=(
                        f'{{"version": "10", "aliases": {{"store": {{"url": "https://{service}:{PORT}", '
                        '"accessKey": "platform-root", "secretKey": "',
                        root,
                        '", "api": "S3v4", "path": "auto"}}}\n',
                    )
                )
            },
        ),
        protect=platform.safety.protect,
        pod_defaults=platform.pod_defaults,
    )


def make_plan(settings: MinioSettings, platform: Platform) -> MinioPlan:
    """Decide object storage: our own servers, or the way to an external store."""
    secrets: dict[str, SecretObject] = {
        user.name: _secret(user, platform.namespace, settings.external) for user in USERS
    }
    if settings.external is not None:
        external = settings.external
        url = urlsplit(external.endpoint)
        ca = SecretObject(name=f"{NAME}-ca", namespace=platform.namespace, entries={"ca.crt": external.ca or ""})
        return MinioPlan(
            name=NAME,
            namespace=platform.namespace,
            endpoint=external.endpoint,
            region=external.region,
            path_style=external.path_style,
            ca=ca if external.ca else None,
            buckets={u.name: external.users[u.name].bucket if u.name in external.users else u.bucket for u in USERS},
            secrets={name: secret for name, secret in secrets.items() if name in external.users},
            tenant=None,
            target=Addresses(name="external object storage", cidrs=external.cidrs),
            port=url.port or (443 if url.scheme == "https" else 80),
        )
    return MinioPlan(
        name=NAME,
        namespace=platform.namespace,
        endpoint=f"https://{platform.service(NAME)}:{PORT}",
        region=settings.region,
        path_style=True,
        ca=SecretObject(name=f"{NAME}-ca", namespace=platform.namespace, entries={"ca.crt": INTERNAL_CA}),
        buckets={user.name: user.bucket for user in USERS},
        secrets=secrets,
        tenant=_tenant(settings, platform),
        target=Pods.of(NAME, platform.namespace, {"app.kubernetes.io/component": COMPONENT}),
        port=PORT,
    )


def check(settings: MinioSettings, plan: MinioPlan, *, disk: int | None) -> list[Problem]:
    """Rules beyond one field. `disk`: bytes of the smallest storage node's disk, if the stack file tells."""
    problems = []
    if settings.external is not None:
        problems += _missing_users(settings.external.users)
    if plan.tenant is not None and disk is not None and DRIVES * plan.tenant.drive_size > disk:
        size, room = format_bytes(plan.tenant.drive_size), format_bytes(disk)
        rule = f"{DRIVES} drives of {size} on each server do not fit the disk of a storage node ({room})"
        problems.append(Problem(path="minio.drive_size", rule=rule))
    return problems


def _missing_users(given: Iterable[str]) -> list[Problem]:
    missing = [user.name for user in USERS if user.name not in set(given)]
    if not missing:
        return []
    rule = f"lacks the bucket and key of {', '.join(missing)}: every consumer has its own"
    return [Problem(path="minio.external.users", rule=rule)]
