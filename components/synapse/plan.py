"""Every number and name of Synapse, decided."""

from dataclasses import dataclass
from typing import Any

from components.minio.plan import MinioPlan
from components.postgres.plan import PostgresPlan
from components.redis.plan import RedisPlan
from components.router.plan import RouterPlan
from components.synapse import routing
from components.synapse.homeserver import presence_enabled
from components.synapse.instances import REPLICATION_PORT
from components.synapse.media import CLEANER
from components.synapse.process_types import ProcessType
from components.synapse.processes import Process, Processes
from components.synapse.settings import SynapseSettings
from kube.context import Platform
from kube.flows import Addresses, Flow, Port
from kube.pod import Resources, Workload
from kube.secrets import Random, SecretObject, SigningKey

HTTP_PORT = 8008
METRICS_PORT = 9090
HEALTH_PORT = 8080

SIGNING_KEY_VERSION = "a_platform"

MAIN_STARTUP_SECONDS = (600, 1800, 3600, 3600)
"""By band: main applies schema changes before it answers, and a large table takes its time."""
WORKER_STARTUP_SECONDS = (180, 300, 600, 600)

PRIVATE_RANGES = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
)
"""What "the internet" is not."""


@dataclass(frozen=True, kw_only=True)
class SynapsePlan:
    """The homeserver: processes, what they read, where they find their neighbours, and the router in front."""

    settings: SynapseSettings
    platform: Platform
    processes: Processes
    database: PostgresPlan
    redis: RedisPlan
    media: MinioPlan
    router: RouterPlan
    federation_allow: tuple[str, ...]
    image: str
    secret: SecretObject
    signing_key_version: str = SIGNING_KEY_VERSION

    @property
    def name(self) -> str:
        return "synapse"

    @property
    def namespace(self) -> str:
        return self.platform.namespace

    @property
    def pod_defaults(self) -> dict[str, Any]:
        return self.platform.pod_defaults

    @property
    def public_url(self) -> str:
        """Where users' clients reach the homeserver."""
        return f"https://{self.platform.server_name}"

    @property
    def max_upload_bytes(self) -> int:
        return self.settings.max_upload_bytes

    @property
    def presence(self) -> bool:
        return presence_enabled(self.settings, self.platform)

    def sidecars(self, process: Process) -> tuple[Resources, ...]:
        return (CLEANER,) if process.type is ProcessType.MEDIA_REPOSITORY else ()

    def workload(self, process: Process) -> Workload:
        return self.processes.workload(process, self.sidecars(process))

    @property
    def workloads(self) -> tuple[Workload, ...]:
        return (*(self.workload(process) for process in self.processes), *self.router.workloads)

    def startup_seconds(self, process: Process) -> int:
        """How long a process may take until it answers, before it is started anew."""
        table = MAIN_STARTUP_SECONDS if process.is_main else WORKER_STARTUP_SECONDS
        return table[self.processes.band]

    @property
    def flows(self) -> tuple[Flow, ...]:
        """Whom Synapse calls, and who of Synapse calls whom."""
        everyone = self.processes.every_pod
        flows: list[Flow] = [
            Flow(
                source=everyone,
                target=everyone,
                ports=(Port(REPLICATION_PORT),),
                why="replication requests: a process asks the writer of a stream, or main",
            ),
            self.database.client(everyone, "all data"),
            self.redis.client(everyone, "replication stream and shared cache"),
        ]
        media = self.processes.pods(self.processes[ProcessType.MEDIA_REPOSITORY])
        flows.append(self.media.client(media, "media files"))
        return (*flows, *self._internet, *self.router.flows)

    @property
    def _internet(self) -> tuple[Flow, ...]:
        internet = Addresses(name="internet", except_cidrs=PRIVATE_RANGES)
        https = (Port(443),)
        flows = []
        if self.platform.federation:
            # Every process may have to ask another server: for a key, a profile, a room to join, a file. Servers with
            # delegation listen where they like; 443 and 8448 are what all but a few use.
            flows.append(
                Flow(
                    source=self.processes.every_pod,
                    target=Addresses(name="other homeservers"),
                    ports=(Port(443), Port(8448)),
                    why="federation",
                )
            )
        if self.settings.internet:
            pushers = self.processes.pods(self.processes[ProcessType.PUSHER])
            flows.append(Flow(source=pushers, target=internet, ports=https, why="push gateways of clients"))
        if self.settings.url_previews.enabled:
            media = self.processes.pods(self.processes[ProcessType.MEDIA_REPOSITORY])
            flows.append(Flow(source=media, target=internet, ports=(Port(80), *https), why="previews of links"))
        return tuple(flows)


def secret_object(platform: Platform) -> SecretObject:
    """Everything that only Synapse may know, in files of one Secret."""
    return SecretObject(
        name="synapse",
        namespace=platform.namespace,
        entries={
            "signing.key": SigningKey(id="synapse-signing-key", version=SIGNING_KEY_VERSION),
            "macaroon_secret_key": Random(id="synapse-macaroon-secret-key", length=64),
            "form_secret": Random(id="synapse-form-secret", length=64),
            "registration_shared_secret": Random(id="synapse-registration-shared-secret", length=64),
            "worker_replication_secret": Random(id="synapse-worker-replication-secret", length=64),
        },
    )


def make_plan(
    settings: SynapseSettings,
    platform: Platform,
    processes: Processes,
    *,
    database: PostgresPlan,
    redis: RedisPlan,
    media: MinioPlan,
    federation_allow: tuple[str, ...] = (),
) -> SynapsePlan:
    """Decide Synapse. `processes` were planned before PostgreSQL, which needs the sum of their connections."""
    return SynapsePlan(
        settings=settings,
        platform=platform,
        processes=processes,
        database=database,
        redis=redis,
        media=media,
        router=routing.router_plan(settings, platform, processes),
        federation_allow=federation_allow,
        image=platform.images.ref("synapse"),
        secret=secret_object(platform),
    )
