"""From the table of endpoints to HAProxy's map files, and the same decision in Python for tests and documents.

Each listener has one map, looked up by longest prefix (`map_beg`: a tree, so the cost does not grow with the table).
A key is the method, the path and `/$`, as in `GET/_matrix/client/versions/$`. An entry that ends in `/$` is exact, one
that ends in `/` stands for everything below it. The value is the name of the HAProxy backend: a pool, or one of the
answers that need no Synapse.

Where a parameter stands in the middle of a path (`rooms/{room_id}/messages`), or the pool chooses by it, the value is
a shape instead: `*6` says that the sixth field between slashes is a parameter. HAProxy then builds the key again
with `*` in its place, and looks that up in the same map.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from components.router.endpoints import ENDPOINTS, LEFT_TO_MAIN, Endpoint
from components.router.pools import POOLS, Choice, Pool

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
"""Methods that Synapse knows. OPTIONS is answered before any look-up; anything else is 405."""
END = "$"
"""Marks the end of a path in a key, so that a prefix look-up can tell `devices` from `devices/…`."""


class Answer(StrEnum):
    """Backends that answer by themselves."""

    UNKNOWN = "unknown"
    """404: no such path on this listener. Also where HAProxy ends when a key is in no map."""
    CLOSED = "closed"
    """403: exists, but not here."""
    WELL_KNOWN_CLIENT = "well-known-client"
    WELL_KNOWN_SERVER = "well-known-server"
    WELL_KNOWN_SUPPORT = "well-known-support"


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{")


@dataclass(frozen=True, slots=True)
class _Split:
    """A path template: its fixed beginning, the field number of its first parameter, and the fixed rest of it."""

    head: str
    position: int
    rest: tuple[str, ...]

    @classmethod
    def of(cls, path: str) -> "_Split | None":
        fields = path.split("/")
        for index, segment in enumerate(fields):
            if _is_parameter(segment):
                return cls("/".join(fields[:index]) + "/", index + 1, tuple(fields[index + 1 :]))
        return None


def _needs_shape(split: _Split, pool: Pool) -> bool:
    """Whether the first parameter must be skipped: something fixed follows it, or the pool chooses by it."""
    return POOLS[pool].choice is Choice.PATH or any(not _is_parameter(s) for s in split.rest)


def _table() -> Iterable[tuple[Endpoint, str]]:
    rows = (*ENDPOINTS, *(left.endpoint for left in LEFT_TO_MAIN))
    return ((row, path) for row in rows for path in row.paths)


def _shapes() -> dict[str, str]:
    shapes: dict[str, str] = {}
    for row, path in _table():
        split = _Split.of(path)
        if split and _needs_shape(split, row.pool):
            shapes[split.head] = f"*{split.position}"
    return shapes


SHAPES: Mapping[str, str] = _shapes()
"""Beginning of a path -> which of its fields is skipped."""

POSITIONS = tuple(sorted({int(shape[1:]) for shape in SHAPES.values()}))
"""All fields that are ever skipped: HAProxy has one rule for each."""


def _longest(entries: Mapping[str, str], text: str) -> str | None:
    for end in range(len(text), 0, -1):
        if (found := entries.get(text[:end])) is not None:
            return found
    return None


def skip(path: str, shape: str) -> str:
    """The path with its parameter skipped, as frontends.py tells HAProxy to build it."""
    position = int(shape[1:])
    fields = path.split("/")
    return f"{'/'.join(fields[: position - 1])}/*/{'/'.join(fields[position:])}"


def _entry(path: str) -> str:
    """The map entry of a path template: its key up to the first parameter that is not skipped."""
    shape = _longest(SHAPES, path)
    return f"{skip(path, shape) if shape else path}/{END}".partition("{")[0]


class ConflictError(ValueError):
    """Two rows of the table ask for the same key to go to two pools."""


def _endpoints(available: Iterable[Pool]) -> dict[tuple[str, str], Pool]:
    """(method, entry) -> pool. A pool that is not `available` is left out: its endpoints go to main.

    Entries for main are kept only where they are an exception below an entry for another pool.
    """
    there = set(available)
    found: dict[tuple[str, str], Pool] = {}
    for row, path in _table():
        pool = row.pool
        if pool is Pool.INITIAL_SYNCHROTRON and pool not in there:
            pool = Pool.SYNCHROTRON
        if pool not in there:
            pool = Pool.MAIN
        for method in row.methods:
            known = found.setdefault((method, _entry(path)), pool)
            if known is not pool:
                raise ConflictError(f"{method} {_entry(path)} would go to {known} and to {pool}")
    others = [key for key, pool in found.items() if pool is not Pool.MAIN]

    def exception(method: str, entry: str) -> bool:
        return any(m == method and entry.startswith(e) for m, e in others)

    return {key: pool for key, pool in found.items() if pool is not Pool.MAIN or exception(*key)}


_ADMIN = "/_synapse/admin"
_FEDERATION = ("/_matrix/federation", "/_matrix/key")
_OPENID = "/_matrix/federation/v1/openid/userinfo"
_WELL_KNOWN = {
    f"/.well-known/matrix/client/{END}": Answer.WELL_KNOWN_CLIENT,
    f"/.well-known/matrix/server/{END}": Answer.WELL_KNOWN_SERVER,
    f"/.well-known/matrix/support/{END}": Answer.WELL_KNOWN_SUPPORT,
}


def _open(pools: Iterable[Pool], *prefixes: str, but: tuple[str, ...] = ()) -> dict[str, str]:
    """All entries below `prefixes`, by method; what is below them and in no row goes to main."""

    def is_open(entry: str) -> bool:
        return entry.startswith(prefixes) and not (but and entry.startswith(but))

    result: dict[str, str] = {}
    for method in METHODS:
        result |= {f"{method}{prefix}": Pool.MAIN for prefix in prefixes}
        shapes = {head: shape for head, shape in SHAPES.items() if is_open(head)}
        result |= {f"{method}{head}": shape for head, shape in shapes.items()}
        # The second look-up must not find the shape again.
        result |= {f"{method}{head}*/": Pool.MAIN for head in shapes}
    for (method, entry), pool in _endpoints(pools).items():
        if is_open(entry):
            for m in ("GET", "HEAD") if method == "GET" else (method,):
                result[f"{m}{entry}"] = pool
    return result


def _each(entries: Mapping[str, str]) -> dict[str, str]:
    return {f"{method}{path}": value for method in METHODS for path, value in entries.items()}


def public_map(pools: Iterable[Pool], federation: bool) -> dict[str, str]:
    """What clients reach. With federation off, other servers' paths do not exist, except for OpenID's userinfo:
    services of ours (and widgets) check a user's identity there."""
    closed = () if federation else _FEDERATION
    return {
        **_each(_WELL_KNOWN),
        **_open(pools, "/_matrix/", "/_synapse/client/", but=closed),
        **_each({_ADMIN: Answer.CLOSED, **dict.fromkeys(closed, Answer.UNKNOWN), f"{_OPENID}/{END}": Pool.MAIN}),
    }


def internal_map(pools: Iterable[Pool], federation: bool) -> dict[str, str]:
    """What our own systems reach: the public listener's paths and administration."""
    there = set(pools)
    return {**public_map(there, federation), **_open(there, f"{_ADMIN}/")}


def federation_map(pools: Iterable[Pool]) -> dict[str, str]:
    """What other servers reach on their own port: nothing else, so that it can be opened to the world alone."""
    server = {path: answer for path, answer in _WELL_KNOWN.items() if answer is Answer.WELL_KNOWN_SERVER}
    return {**_each(server), **_open(pools, *(f"{prefix}/" for prefix in _FEDERATION))}


def map_file(entries: Mapping[str, str]) -> str:
    """Text of a HAProxy map file, in a stable order."""
    return "".join(f"{key} {value}\n" for key, value in sorted(entries.items()))


def lookup(method: str, path: str, entries: Mapping[str, str]) -> str:
    """The backend of a request, without regard to its query. The model that the live test holds HAProxy to."""
    found = _longest(entries, f"{method}{path}/{END}") or Answer.UNKNOWN
    if not found.startswith("*"):
        return found
    return _longest(entries, f"{method}{skip(path, found)}/{END}") or Answer.UNKNOWN
