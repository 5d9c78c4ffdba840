"""What an operator may set about Synapse."""

import re
from enum import StrEnum
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from components.router.settings import RouterSettings
from kube.quantity import Size
from kube.settings import ResourceSettings, Settings

CLAMAV_MAXIMUM = 2**31 - 1
"""clamd cannot scan a stream of 2 GiB or more: its StreamMaxLength ends there."""

_UPLOAD = re.compile(r"^([1-9]\d*)([KMG])$")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def upload_bytes(text: str) -> int:
    """`100M` -> 104857600. Powers of two, as Synapse and ClamAV read the same letters."""
    match = _UPLOAD.match(text)
    if not match:
        raise ValueError(f"must be a size such as 100M or 1G (powers of two, as Synapse reads them), not {text!r}")
    number, unit = match.groups()
    return int(number) * _UNITS[unit]


def _upload(text: str) -> str:
    if upload_bytes(text) > CLAMAV_MAXIMUM:
        raise ValueError(
            "must be below 2G: ClamAV cannot scan more than 2 GiB - 1 of one file, and an upload that nobody can scan "
            "would have to be refused or let through unseen"
        )
    return text


UploadSize = Annotated[str, AfterValidator(_upload)]


def _duration(text: str) -> str:
    if not re.match(r"^[1-9]\d*[smhdwy]$", text):
        raise ValueError(f"must be a duration such as 12h, 90d or 1y, not {text!r}")
    return text


Duration = Annotated[str, AfterValidator(_duration)]
"""As Synapse writes durations: a number and s, m (minutes), h, d, w or y."""


def _network(text: str) -> str:
    return str(ip_network(text))


Network = Annotated[str, AfterValidator(_network)]


class AutoscaleSettings(Settings):
    """A HorizontalPodAutoscaler on CPU. Never on memory: Python gives none back, and the count would only grow."""

    enabled: bool = Field(default=True, description="False keeps the count at `replicas`.")
    max: int | None = Field(
        default=None, ge=1, description="Most processes. Unset: from the band of concurrent_users, at least `replicas`."
    )
    cpu_percent: int | None = Field(
        default=None, ge=10, le=95, description="CPU use aimed at, in percent of the CPU that one process requests."
    )


class ProcessSettings(Settings):
    """One type of processes. Everything unset comes from the band of concurrent_users."""

    replicas: int | None = Field(
        default=None, ge=1, description="How many; with autoscaling, how many at least. Unset: from the band."
    )
    resources: ResourceSettings | None = Field(
        default=None, description="Size of one process. Cache sizes follow the memory limit. Unset: from the band."
    )
    autoscale: AutoscaleSettings | None = Field(
        default=None, description="Only for types that no configuration names. Unset: as the type's default says."
    )
    cp_max: int | None = Field(
        default=None,
        ge=2,
        le=100,
        description="Connections to PostgreSQL that one process may open. The sum over all processes decides "
        "PostgreSQL's max_connections.",
    )
    extra_env: dict[str, str] = Field(
        default_factory=dict, description="Further environment variables, in clear: never a secret."
    )


class WorkerSettings(Settings):
    """Every type of Synapse process, the main process included."""

    main: ProcessSettings = Field(default_factory=ProcessSettings, description="The main process. Exactly one.")
    synchrotron: ProcessSettings = Field(default_factory=ProcessSettings, description="/sync. Autoscaled.")
    sliding_sync: ProcessSettings = Field(default_factory=ProcessSettings, description="Simplified sliding sync.")
    generic: ProcessSettings = Field(
        default_factory=ProcessSettings, description="Reads, keys, joins, sending, history. Autoscaled."
    )
    media_repository: ProcessSettings = Field(
        default_factory=ProcessSettings,
        description="Media. One for now: the S3 storage provider of today keeps a local store that two cannot share.",
    )
    event_persister: ProcessSettings = Field(
        default_factory=ProcessSettings,
        description="Writers of events. A change of the count stops all Synapse processes and starts them again.",
    )
    typing: ProcessSettings = Field(default_factory=ProcessSettings, description="Writer of typing. Exactly one.")
    to_device: ProcessSettings = Field(default_factory=ProcessSettings, description="Writer of to_device. One.")
    account_data: ProcessSettings = Field(default_factory=ProcessSettings, description="Writer of account_data. One.")
    presence: ProcessSettings = Field(default_factory=ProcessSettings, description="Writer of presence. One.")
    push_rules: ProcessSettings = Field(default_factory=ProcessSettings, description="Writer of push_rules. One.")
    receipts: ProcessSettings = Field(
        default_factory=ProcessSettings,
        description="Writers of receipts, 1-2. A change of the count stops and starts all Synapse processes.",
    )
    device_lists: ProcessSettings = Field(
        default_factory=ProcessSettings,
        description="Writers of device lists, 1-2. A change of the count stops and starts all Synapse processes.",
    )
    pusher: ProcessSettings = Field(
        default_factory=ProcessSettings, description="Push notifications. A change of the count restarts main too."
    )
    background: ProcessSettings = Field(default_factory=ProcessSettings, description="Background tasks. Exactly one.")
    user_directory: ProcessSettings = Field(default_factory=ProcessSettings, description="User directory. One.")
    appservice: ProcessSettings = Field(default_factory=ProcessSettings, description="Application services. One.")
    federation_sender: ProcessSettings = Field(
        default_factory=ProcessSettings,
        description="Sends to other servers. A change of the count stops all senders, then starts them.",
    )
    federation_inbound: ProcessSettings = Field(
        default_factory=ProcessSettings, description="Takes in transactions of other servers."
    )
    federation_reader: ProcessSettings = Field(
        default_factory=ProcessSettings, description="Answers other servers' questions."
    )


class RateLimit(Settings):
    """A bucket that refills: `per_second` on average, `burst_count` at once."""

    per_second: float = Field(gt=0, description="Requests per second that are sustained.")
    burst_count: int = Field(ge=1, description="Requests that may come at once.")


class RateLimits(Settings):
    """Synapse's own limits (rc_*), for each user or address. The router's limits are before them, and coarser."""

    message: RateLimit = Field(
        default=RateLimit(per_second=1, burst_count=30), description="Events that one user sends (rc_message)."
    )
    login_address: RateLimit = Field(
        default=RateLimit(per_second=0.5, burst_count=60),
        description="Logins from one address; an office behind one address shares it (rc_login.address).",
    )
    login_account: RateLimit = Field(
        default=RateLimit(per_second=0.02, burst_count=10), description="Logins to one account (rc_login.account)."
    )
    login_failed_attempts: RateLimit = Field(
        default=RateLimit(per_second=0.02, burst_count=5),
        description="Failed logins to one account: 5, then one in 50 s (rc_login.failed_attempts).",
    )
    joins_local: RateLimit = Field(
        default=RateLimit(per_second=0.5, burst_count=20), description="Joins to rooms that we have (rc_joins.local)."
    )
    joins_remote: RateLimit = Field(
        default=RateLimit(per_second=0.05, burst_count=10),
        description="Joins to rooms that another server must let us into (rc_joins.remote).",
    )
    invites_per_room: RateLimit = Field(
        default=RateLimit(per_second=0.5, burst_count=50), description="Invitations into one room."
    )
    invites_per_user: RateLimit = Field(
        default=RateLimit(per_second=0.05, burst_count=20), description="Invitations that one user gets."
    )
    invites_per_issuer: RateLimit = Field(
        default=RateLimit(per_second=0.5, burst_count=50), description="Invitations that one user sends."
    )
    media_create: RateLimit = Field(
        default=RateLimit(per_second=2, burst_count=50), description="Uploads that one user begins (rc_media_create)."
    )


class UrlPreviewSettings(Settings):
    """Previews of links: the server fetches what users write. It must reach the internet, and nothing inside."""

    enabled: bool = Field(default=False, description="Off: no process of ours opens a link that a user has written.")
    ip_range_blacklist: tuple[Network, ...] = Field(
        default=(),
        description="Address ranges that are never fetched from, beside all private and reserved ones.",
    )


class Presence(StrEnum):
    """Who is online."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class LogLevel(StrEnum):
    """Level of Synapse's root logger."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class MediaSettings(Settings):
    """Uploads live in object storage; the media process keeps a cache."""

    cache: Size = Field(
        default="20Gi",
        description="Local store of the media process, on its node's disk. Expendable: an upload is acknowledged when "
        "object storage has it. The clean-up keeps it below three quarters.",
    )
    cache_age: Duration = Field(
        default="1d", description="Files that nobody has asked for in this time leave the local store."
    )
    remote_media_lifetime: Duration | None = Field(
        default="90d",
        description="Copies of other servers' files that nobody has asked for in this time are deleted "
        "(media_retention.remote_media_lifetime). Null: never.",
    )
    local_media_lifetime: Duration | None = Field(
        default=None, description="Own users' files that nobody has asked for in this time are deleted. Null: never."
    )


class SynapseSettings(Settings):
    """The homeserver."""

    max_upload_size: UploadSize = Field(
        default="100M",
        description="Largest file that a user may upload; K, M, G are powers of two. One value for the whole chain: "
        "router, Synapse, content scanner, ClamAV. Below 2G.",
    )
    workers: WorkerSettings = Field(default_factory=WorkerSettings, description="The processes, type by type.")
    router: RouterSettings = Field(default_factory=RouterSettings, description="HAProxy in front of Synapse.")
    media: MediaSettings = Field(default_factory=MediaSettings, description="Media storage and its cache.")
    log_level: LogLevel = Field(
        default=LogLevel.INFO,
        description="Root level of all processes' logs. DEBUG writes what users do; a change restarts all processes.",
    )
    presence: Presence = Field(
        default=Presence.AUTO,
        description="Who is online. `auto`: on up to 5,000 concurrent users; beyond, it costs more than all messages.",
    )
    internet: bool = Field(
        default=True,
        description="Whether pushers may reach push gateways (Apple, Google) on the internet. Off in an air gap: "
        "no process of Synapse may leave the cluster, but for federation where that is on.",
    )
    url_previews: UrlPreviewSettings = Field(default_factory=UrlPreviewSettings, description="Previews of links.")
    push_include_content: bool = Field(
        default=False,
        description="Whether push notifications carry the text of unencrypted messages through other companies' "
        "servers. Off: they only say that there is something.",
    )
    trusted_key_servers: tuple[str, ...] = Field(
        default=(),
        description="Servers that vouch for other servers' keys. None: keys are asked from their owners only. Needs "
        "federation.",
    )
    rate_limits: RateLimits = Field(default_factory=RateLimits, description="Limits for each user and address.")
    extra: dict[str, Any] = Field(
        default_factory=dict,
        description="Further keys of homeserver.yaml, as Synapse documents them. A key that Synapse does not know, "
        "that we generate, or that holds a secret is refused. A change restarts all processes.",
    )

    @field_validator("extra")
    @classmethod
    def _extra(cls, value: dict[str, Any]) -> dict[str, Any]:
        from components.synapse.extra import refused  # local: extra.py reads a data file

        reasons = refused(value)
        if reasons:
            raise ValueError("; ".join(reasons))
        return value

    @property
    def max_upload_bytes(self) -> int:
        return upload_bytes(self.max_upload_size)
