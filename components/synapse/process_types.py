"""What kinds of Synapse processes there are, and what is true of each at every scale. Data, from Synapse's workers.md
and `synapse/config/workers.py` (1.163).

The same types exist at every scale: only counts and sizes differ. The three federation types exist when federation
is on, and not otherwise: a process that may talk to nobody is no topology, it is a leak waiting for a policy.
"""

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from kube.pod import Resources
from kube.quantity import MI

BANDS = (1_000, 5_000, 10_000, 20_000)
"""Upper ends of the bands of concurrent users that the tables below have one column for."""

MEDIA_REPOSITORY_MAXIMUM = 1
"""How many media processes there may be.

Several need storage that each of them reads at once. Synapse's `enable_local_media_storage: false` would give that,
but synapse-s3-storage-provider 1.7.0 uploads from the local store and loses every upload in that mode (a test holds
this). With a provider that can, this constant is the only thing to lift: counts of the bands are below already.
"""


class ProcessType(StrEnum):
    """A kind of process, by Synapse's word for its duty. The StatefulSet is called `synapse-<value>`."""

    MAIN = "main"
    SYNCHROTRON = "synchrotron"
    SLIDING_SYNC = "sliding-sync"
    GENERIC = "generic"
    MEDIA_REPOSITORY = "media-repository"
    EVENT_PERSISTER = "event-persister"
    TYPING = "typing"
    TO_DEVICE = "to-device"
    ACCOUNT_DATA = "account-data"
    PRESENCE = "presence"
    PUSH_RULES = "push-rules"
    RECEIPTS = "receipts"
    DEVICE_LISTS = "device-lists"
    PUSHER = "pusher"
    BACKGROUND = "background"
    USER_DIRECTORY = "user-directory"
    APPSERVICE = "appservice"
    FEDERATION_SENDER = "federation-sender"
    FEDERATION_INBOUND = "federation-inbound"
    FEDERATION_READER = "federation-reader"

    @property
    def key(self) -> str:
        """How the stack file calls it, below `synapse.workers`."""
        return self.value.replace("-", "_")


class Serves(Enum):
    """Which resources of the HTTP API a process answers on port 8008."""

    NOTHING = ()
    CLIENT = ("client",)
    MEDIA = ("media",)
    FEDERATION = ("federation",)


Counts = tuple[int, int, int, int]
"""One number for each band."""

Sizes = tuple[Resources, Resources, Resources, Resources]


def _size(cpu: int, memory: int, limit: int) -> Resources:
    return Resources(cpu=cpu, memory=memory * MI, memory_limit=limit * MI)


def _sizes(first: Resources, rest: Resources) -> Sizes:
    """One size for the first band, one for the others: beyond it, more processes help and larger ones do not."""
    return (first, rest, rest, rest)


_MAIN: Sizes = (
    _size(1000, 2048, 4096),
    _size(2000, 4096, 8192),
    _size(4000, 8192, 16384),
    _size(4000, 8192, 16384),
)
_SYNC = _sizes(_size(500, 1024, 2048), _size(1000, 1024, 2048))
_GENERIC = _sizes(_size(250, 512, 1024), _size(500, 512, 1024))
_WRITER = _sizes(_size(100, 256, 512), _size(250, 384, 512))
_HELPER = _sizes(_size(100, 256, 512), _size(250, 512, 1024))
_ONE: Counts = (1, 1, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is true of a type.

    `stream`: the stream that it writes (`stream_writers`); such a process is named in every process' configuration.
    `maximum`: more are refused, for the reason `why_maximum`. `scales`: named in no configuration, so an autoscaler
    may change the count. `cpu_percent`: where autoscaling is on by default, the CPU use (of the request) that it aims
    at. `peaks`: what the autoscaler may grow to. `cp_max`: connections to PostgreSQL that one process may open; a
    process has one thread of Python, so a few are enough, and each costs PostgreSQL some 10 MB.
    """

    what: str
    counts: Counts
    sizes: Sizes
    cp_max: int
    serves: Serves = Serves.NOTHING
    stream: str | None = None
    maximum: int | None = None
    why_maximum: str = ""
    scales: bool = False
    cpu_percent: int | None = None
    peaks: Counts = field(default=(0, 0, 0, 0))
    federation: bool = False


def _single_writer(stream: str) -> Traits:
    return Traits(
        what=f"the writer of the stream {stream}",
        counts=_ONE,
        sizes=_WRITER,
        cp_max=5,
        serves=Serves.CLIENT,
        stream=stream,
        maximum=1,
        why_maximum=f"Synapse refuses to start with two writers of {stream}: the stream has one order and one writer "
        "gives it. It is rarely busy; give it more CPU instead",
    )


TYPES: dict[ProcessType, Traits] = {
    ProcessType.MAIN: Traits(
        what="login, registration, administration, and everything that no worker may do",
        counts=_ONE,
        sizes=_MAIN,
        cp_max=15,
        serves=Serves.CLIENT,
        maximum=1,
        why_maximum="there is exactly one main process: two would both run what only one may",
    ),
    ProcessType.SYNCHROTRON: Traits(
        what="/sync: one long poll for each user online, initial syncs among them",
        counts=(4, 8, 12, 16),
        peaks=(6, 12, 18, 24),
        sizes=_SYNC,
        cp_max=8,
        serves=Serves.CLIENT,
        scales=True,
        cpu_percent=60,
    ),
    ProcessType.SLIDING_SYNC: Traits(
        what="simplified sliding sync (Element X)",
        counts=(1, 2, 4, 6),
        sizes=_sizes(_size(250, 512, 1024), _size(1000, 1024, 2048)),
        cp_max=8,
        serves=Serves.CLIENT,
        scales=True,
    ),
    ProcessType.GENERIC: Traits(
        what="reads, encryption keys, joins, sending of events, history: whatever has no process of its own",
        counts=(2, 4, 8, 12),
        peaks=(4, 8, 12, 16),
        sizes=_GENERIC,
        cp_max=8,
        serves=Serves.CLIENT,
        scales=True,
        cpu_percent=70,
    ),
    ProcessType.MEDIA_REPOSITORY: Traits(
        what="uploads, downloads, thumbnails; writes quarantined_media_changes",
        counts=(2, 4, 6, 8),
        sizes=_SYNC,
        cp_max=8,
        serves=Serves.MEDIA,
        stream="quarantined_media_changes",
        maximum=MEDIA_REPOSITORY_MAXIMUM,
        why_maximum="the S3 storage provider of today needs a local store, which two processes cannot share: a file "
        "uploaded through one would be missing in the other",
    ),
    ProcessType.EVENT_PERSISTER: Traits(
        what="writes events to the database, each room by one of them",
        counts=(2, 4, 6, 8),
        sizes=_SYNC,
        cp_max=10,
        stream="events",
    ),
    ProcessType.TYPING: _single_writer("typing"),
    ProcessType.TO_DEVICE: _single_writer("to_device"),
    ProcessType.ACCOUNT_DATA: _single_writer("account_data"),
    ProcessType.PRESENCE: _single_writer("presence"),
    ProcessType.PUSH_RULES: _single_writer("push_rules"),
    ProcessType.RECEIPTS: Traits(
        what="writes read receipts",
        counts=(1, 1, 2, 2),
        sizes=_WRITER,
        cp_max=5,
        serves=Serves.CLIENT,
        stream="receipts",
        maximum=2,
        why_maximum="two are enough for 20,000 users, and every further writer makes each reader wait for one more",
    ),
    ProcessType.DEVICE_LISTS: Traits(
        what="writes device lists and uploaded keys",
        counts=(1, 1, 2, 2),
        sizes=_WRITER,
        cp_max=5,
        serves=Serves.CLIENT,
        stream="device_lists",
        maximum=2,
        why_maximum="two are enough for 20,000 users, and every further writer makes each reader wait for one more",
    ),
    ProcessType.PUSHER: Traits(
        what="sends push notifications, each user's by one of them", counts=(1, 2, 2, 4), sizes=_HELPER, cp_max=5
    ),
    ProcessType.BACKGROUND: Traits(
        what="background tasks: statistics, clean-up, expiry",
        counts=_ONE,
        sizes=_HELPER,
        cp_max=5,
        maximum=1,
        why_maximum="Synapse makes no effort to keep two processes from running the same task twice",
    ),
    ProcessType.USER_DIRECTORY: Traits(
        what="keeps the user directory up to date, and answers searches in it",
        counts=_ONE,
        sizes=_HELPER,
        cp_max=5,
        serves=Serves.CLIENT,
        maximum=1,
        why_maximum="only one process may update the directory (update_user_directory_from_worker)",
    ),
    ProcessType.APPSERVICE: Traits(
        what="passes events on to application services (bridges, bots)",
        counts=_ONE,
        sizes=_HELPER,
        cp_max=5,
        maximum=1,
        why_maximum="only one process may notify application services (notify_appservices_from_worker)",
    ),
    ProcessType.FEDERATION_SENDER: Traits(
        what="sends to other servers, each destination by one of them",
        counts=(1, 2, 4, 6),
        sizes=_GENERIC,
        cp_max=5,
        federation=True,
    ),
    ProcessType.FEDERATION_INBOUND: Traits(
        what="takes in what other servers send",
        counts=(1, 2, 3, 4),
        sizes=_GENERIC,
        cp_max=8,
        serves=Serves.FEDERATION,
        scales=True,
        federation=True,
    ),
    ProcessType.FEDERATION_READER: Traits(
        what="answers other servers' questions",
        counts=(1, 2, 2, 3),
        sizes=_GENERIC,
        cp_max=5,
        serves=Serves.FEDERATION,
        scales=True,
        federation=True,
    ),
}


def band(concurrent_users: int) -> int:
    """Column of the tables for this many concurrent users."""
    for column, upper in enumerate(BANDS):
        if concurrent_users <= upper:
            return column
    return len(BANDS) - 1
