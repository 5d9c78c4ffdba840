"""Router plans for tests: the same shape as SynapseCluster builds, at the sizes of the three stacks."""

from components.router.plan import PoolSource, RouterPlan, WellKnown, make_plan
from components.router.pools import FEDERATION_POOLS, Pool
from components.router.settings import RouterSettings
from kube.context import Platform, Safety, StorageClasses
from kube.flows import Pods
from kube.images import Image, Images

SERVER_NAME = "chat.z3r0d3v.com"
MAX_UPLOAD_BYTES = 100 * 2**20

SIZES: dict[str, dict[str, int]] = {
    "small": {"users": 1_000, "synchrotron": 4, "generic": 2, "media": 2},
    "medium": {"users": 5_000, "synchrotron": 8, "generic": 4, "media": 4},
    "large": {"users": 20_000, "synchrotron": 16, "generic": 12, "media": 8},
}


def platform(users: int = 1_000, federation: bool = False) -> Platform:
    return Platform(
        stack="test",
        server_name=SERVER_NAME,
        concurrent_users=users,
        federation=federation,
        namespace="matrix",
        cluster_domain="cluster.local",
        images=Images(locked={"haproxy": Image(repository="docker.io/library/haproxy", tag="3.0-alpine")}),
        storage=StorageClasses(general="a", database="b", object="c"),
        safety=Safety(protect=False),
    )


def source(name: str, maximum: int, *, scales: bool = False) -> PoolSource:
    return PoolSource(
        statefulset=f"synapse-{name}",
        headless=f"synapse-{name}",
        maximum=maximum,
        scales=scales,
        pods=Pods.of(f"synapse-{name}", "matrix", {"app.kubernetes.io/name": f"synapse-{name}"}),
    )


def sources(
    *, synchrotron: int = 4, generic: int = 2, media: int = 2, federation: bool = False
) -> dict[Pool, PoolSource]:
    sync = source("synchrotron", synchrotron, scales=True)
    workers = source("generic", generic, scales=True)
    result = {
        Pool.MAIN: source("main", 1),
        Pool.SYNCHROTRON: sync,
        Pool.INITIAL_SYNCHROTRON: sync,
        Pool.SLIDING_SYNC: source("sliding-sync", 2, scales=True),
        Pool.GENERIC: workers,
        Pool.EVENT_CREATOR: workers,
        Pool.PAGINATION: workers,
        Pool.USER_DIRECTORY: source("user-directory", 1),
        Pool.MEDIA_REPOSITORY: source("media", media, scales=True),
        Pool.TYPING: source("typing", 1),
        Pool.TO_DEVICE: source("to-device", 1),
        Pool.ACCOUNT_DATA: source("account-data", 1),
        Pool.PRESENCE: source("presence", 1),
        Pool.PUSH_RULES: source("push-rules", 1),
        Pool.RECEIPTS: source("receipts", 2),
        Pool.DEVICE_LISTS: source("device-lists", 2),
        Pool.FEDERATION_INBOUND: source("federation-inbound", 2, scales=True),
        Pool.FEDERATION_READER: source("federation-reader", 2, scales=True),
    }
    return {pool: s for pool, s in result.items() if federation or pool not in FEDERATION_POOLS}


def plan(
    size: str = "small", *, federation: bool = False, settings: RouterSettings | None = None, **counts: int
) -> RouterPlan:
    """A plan of one of the three sizes; `counts` replace single numbers of it."""
    numbers = {**SIZES[size], **counts}
    users = numbers.pop("users")
    return make_plan(
        settings or RouterSettings(),
        platform(users, federation),
        sources(federation=federation, **numbers),
        max_upload_bytes=MAX_UPLOAD_BYTES,
        well_known=WellKnown(
            client={"m.homeserver": {"base_url": f"https://{SERVER_NAME}"}},
            server=f"{SERVER_NAME}:443",
            support={"contacts": [{"role": "m.role.admin", "email_address": f"admin@{SERVER_NAME}"}]},
        ),
    )
