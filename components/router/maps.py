"""From the table of endpoints to HAProxy's map files, and the same decision in Python for tests and documents.

Two kinds of maps, both looked up by longest prefix (`map_beg`: a tree, so the cost does not grow with the table):

* *heads*, one per listener: the beginning of a path says what area it belongs to and which of its segments is a
  parameter that must be skipped: `p6` means that the sixth field between slashes is one (a room id, say).
* one per method: the path with that segment replaced by `*`, and with `/$` at its end, says the pool. An entry that
  ends in `/$` is exact; one that ends in `/` stands for everything below it. No entry: main.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from components.router.endpoints import ENDPOINTS, LEFT_TO_MAIN, Endpoint
from components.router.pools import POOLS, Choice, Pool

METHODS = ("GET", "POST", "PUT", "DELETE")
END = "$"
"""Marks the end of a path in a key, so that a prefix look-up can tell `devices` from `devices/…`."""


class Area:
    """Values of the heads maps that are not a parameter's position."""

    PLAIN = "p0"
    UNKNOWN = "unknown"
    CLOSED = "closed"
    UNRECOGNIZED = "unrecognized"
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
            shapes[split.head] = f"p{split.position}"
    return shapes


SHAPES: Mapping[str, str] = _shapes()
"""Beginning of a path -> which of its fields is skipped."""


def _shape(path: str) -> str:
    """Shape of a path or template: the longest beginning decides, as in HAProxy."""
    return _longest(SHAPES, path) or Area.PLAIN


def _entry(path: str) -> str:
    """The map entry of a path template: its key up to the first parameter that is not skipped."""
    return key(path, _shape(path)).partition("{")[0]


class ConflictError(ValueError):
    """Two rows of the table ask for the same key to go to two pools."""


def method_maps(available: Iterable[Pool]) -> dict[str, dict[str, Pool]]:
    """For each method: key -> pool. A pool that is not `available` is left out: its endpoints go to main.

    Entries for main are kept only where they are an exception below an entry for another pool.
    """
    there = set(available)
    maps: dict[str, dict[str, Pool]] = {method: {} for method in METHODS}
    for row, path in _table():
        pool = row.pool
        if pool is Pool.INITIAL_SYNCHROTRON and pool not in there:
            pool = Pool.SYNCHROTRON
        if pool not in there:
            pool = Pool.MAIN
        for method in row.methods:
            known = maps[method].setdefault(_entry(path), pool)
            if known is not pool:
                raise ConflictError(f"{method} {_entry(path)} would go to {known} and to {pool}")
    for entries in maps.values():
        for key in [k for k, pool in entries.items() if pool is Pool.MAIN]:
            if all(entries[k] is Pool.MAIN for k in entries if key.startswith(k)):
                del entries[key]
    return maps


_CLIENT = {"/_matrix/": Area.PLAIN, "/_synapse/client/": Area.PLAIN}
_ADMIN = "/_synapse/admin"
_FEDERATION = ("/_matrix/federation", "/_matrix/key")
_OPENID = "/_matrix/federation/v1/openid/userinfo"
_WELL_KNOWN = {
    "/.well-known/matrix/client": Area.WELL_KNOWN_CLIENT,
    "/.well-known/matrix/server": Area.WELL_KNOWN_SERVER,
    "/.well-known/matrix/support": Area.WELL_KNOWN_SUPPORT,
}


def _shapes_below(*prefixes: str, but: tuple[str, ...] = ()) -> dict[str, str]:
    return {head: s for head, s in SHAPES.items() if head.startswith(prefixes) and not (but and head.startswith(but))}


def public_heads(federation: bool) -> dict[str, str]:
    """What clients reach. With federation off, other servers' paths do not exist, except for OpenID's userinfo:
    services of ours (and widgets) check a user's identity there."""
    closed = () if federation else _FEDERATION
    heads = {**_WELL_KNOWN, **_CLIENT, **_shapes_below("/_matrix/", but=closed), _ADMIN: Area.CLOSED}
    return heads if federation else {**heads, **dict.fromkeys(closed, Area.UNRECOGNIZED), _OPENID: Area.PLAIN}


def internal_heads(federation: bool) -> dict[str, str]:
    """What our own systems reach: the public listener's paths and administration."""
    return {**public_heads(federation), f"{_ADMIN}/": Area.PLAIN, **_shapes_below(f"{_ADMIN}/")}


def federation_heads() -> dict[str, str]:
    """What other servers reach on their own port: nothing else, so that it can be opened to the world alone."""
    paths = tuple(f"{prefix}/" for prefix in _FEDERATION)
    server = {"/.well-known/matrix/server": Area.WELL_KNOWN_SERVER}
    return {**server, **dict.fromkeys(paths, Area.PLAIN), **_shapes_below(*paths)}


def map_file(entries: Mapping[str, str]) -> str:
    """Text of a HAProxy map file, in a stable order."""
    return "".join(f"{key} {value}\n" for key, value in sorted(entries.items()))


def _longest(entries: Mapping[str, str], text: str) -> str | None:
    for end in range(len(text), 0, -1):
        if (found := entries.get(text[:end])) is not None:
            return found
    return None


def key(path: str, shape: str) -> str:
    """The key that HAProxy builds (frontends.py); its twin."""
    if shape == Area.PLAIN:
        return f"{path}/{END}"
    position = int(shape.removeprefix("p"))
    fields = path.split("/")
    return f"{'/'.join(fields[: position - 1])}/*/{'/'.join(fields[position:])}/{END}"


def area(heads: Mapping[str, str], path: str) -> str:
    """What a listener says of a path: an `Area`, or the shape of its key."""
    return _longest(heads, path) or Area.UNKNOWN


def lookup(method: str, path: str, maps: Mapping[str, Mapping[str, str]]) -> Pool:
    """The pool of a request without regard to its query. The model that the live test holds HAProxy to."""
    entries = maps.get("GET" if method == "HEAD" else method, {})
    return Pool(_longest(entries, key(path, _shape(path))) or Pool.MAIN)
