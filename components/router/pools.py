"""Pools: what kinds of Synapse processes answer requests, and how one of a kind is chosen."""

from dataclasses import dataclass
from enum import Enum, StrEnum


class Pool(StrEnum):
    """A pool of Synapse processes, by Synapse's own word for them; also the name of the HAProxy backend."""

    MAIN = "main"
    SYNCHROTRON = "synchrotron"
    INITIAL_SYNCHROTRON = "initial-synchrotron"
    SLIDING_SYNC = "sliding-sync"
    GENERIC = "generic"
    EVENT_CREATOR = "event-creator"
    PAGINATION = "pagination"
    USER_DIRECTORY = "user-directory"
    MEDIA_REPOSITORY = "media-repository"
    TYPING = "typing"
    TO_DEVICE = "to-device"
    ACCOUNT_DATA = "account-data"
    PRESENCE = "presence"
    PUSH_RULES = "push-rules"
    RECEIPTS = "receipts"
    DEVICE_LISTS = "device-lists"
    FEDERATION_INBOUND = "federation-inbound"
    FEDERATION_READER = "federation-reader"


class Choice(Enum):
    """How a worker is chosen inside its pool."""

    ONLY = "only"
    """There is one, or any will do in turn: stream writers and main."""
    LESS_BUSY = "less busy"
    """The less busy of two picked at random: good without knowledge of the other router replicas' load."""
    USER = "user"
    """By the user of the access token: caches for a user's sync are in one process."""
    PATH = "path"
    """By the first parameter of the path (room, alias, user), else by the user."""
    ORIGIN = "origin"
    """By the server that signed the request: transactions of one server stay in order."""
    MEDIA = "media"
    """By the media id: a file is cached by one process. Uploads have no id yet and go round."""


class Resource(StrEnum):
    """What the pool's processes must have among their listener's `resources`, or they answer 404."""

    CLIENT = "client"
    FEDERATION = "federation"
    MEDIA = "media"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is true of a pool at every scale.

    `max_connections`: requests in flight to one process from one router replica; more wait in the router's queue.
    A Synapse process has one thread of Python: a few hundred are more than it can work on, and only long polls,
    which wait, may be many. `queue_seconds`: how long a request waits there before 503; a sync is better refused
    quickly, because its client asks again. `server_seconds`: silence of the process before 504.
    `fallback`: main takes over when no process of the pool lives; the text says why where it does not.
    """

    choice: Choice
    resource: Resource = Resource.CLIENT
    max_connections: int = 250
    queue_seconds: int = 30
    server_seconds: int = 120
    fallback: bool = True
    no_fallback_why: str = ""


LONG_POLL_SECONDS = 180
"""Clients ask /sync to wait 30 s; bots and bridges up to a few minutes. Synapse sets no bound of its own."""

_WRITER = Traits(choice=Choice.ONLY, max_connections=500)

POOLS: dict[Pool, Traits] = {
    Pool.MAIN: Traits(choice=Choice.ONLY, fallback=False, no_fallback_why="it is main"),
    Pool.SYNCHROTRON: Traits(
        choice=Choice.USER, max_connections=2000, queue_seconds=5, server_seconds=LONG_POLL_SECONDS
    ),
    # An initial sync costs seconds of CPU. Few at a time, so that other users' syncs in the same process go on.
    Pool.INITIAL_SYNCHROTRON: Traits(
        choice=Choice.USER, max_connections=10, queue_seconds=60, server_seconds=LONG_POLL_SECONDS
    ),
    Pool.SLIDING_SYNC: Traits(
        choice=Choice.USER, max_connections=2000, queue_seconds=5, server_seconds=LONG_POLL_SECONDS
    ),
    Pool.GENERIC: Traits(choice=Choice.LESS_BUSY),
    Pool.EVENT_CREATOR: Traits(choice=Choice.PATH),
    Pool.PAGINATION: Traits(choice=Choice.PATH, max_connections=100),
    Pool.USER_DIRECTORY: Traits(choice=Choice.LESS_BUSY, max_connections=100),
    Pool.MEDIA_REPOSITORY: Traits(
        choice=Choice.MEDIA,
        resource=Resource.MEDIA,
        server_seconds=LONG_POLL_SECONDS,
        fallback=False,
        no_fallback_why="main has no media repository (enable_media_repo: false) and would answer 404",
    ),
    Pool.TYPING: Traits(
        choice=Choice.ONLY,
        max_connections=500,
        fallback=False,
        no_fallback_why="a process that is not the typing writer answers 500",
    ),
    Pool.TO_DEVICE: _WRITER,
    Pool.ACCOUNT_DATA: _WRITER,
    Pool.PRESENCE: _WRITER,
    Pool.PUSH_RULES: _WRITER,
    Pool.RECEIPTS: Traits(choice=Choice.LESS_BUSY, max_connections=500),
    Pool.DEVICE_LISTS: Traits(choice=Choice.LESS_BUSY),
    Pool.FEDERATION_INBOUND: Traits(choice=Choice.ORIGIN, resource=Resource.FEDERATION),
    Pool.FEDERATION_READER: Traits(choice=Choice.LESS_BUSY, resource=Resource.FEDERATION),
}

FEDERATION_POOLS = frozenset({Pool.FEDERATION_INBOUND, Pool.FEDERATION_READER})
