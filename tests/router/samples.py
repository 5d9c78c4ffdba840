"""Concrete requests for every row of the table: each method, each prefix, each path."""

import re
from collections.abc import Iterable, Iterator

from components.router.endpoints import ENDPOINTS, LEFT_TO_MAIN, Endpoint

_VALUES = {
    "room_id": "!room%3Achat.z3r0d3v.com",
    "room_identifier": "%23alias%3Achat.z3r0d3v.com",
    "room_alias": "%23alias%3Achat.z3r0d3v.com",
    "user_id": "%40alice%3Achat.z3r0d3v.com",
    "event_id": "%24event",
    "path": "global/content/.m.rule.contains_user_name",
    "stagetype": "m.login.recaptcha",
    "membership_action": "invite",
}


def fill(template: str) -> str:
    """A path of this template. Parameters of no known name stand for themselves."""
    return re.sub(r"\{(\w+)\}", lambda m: _VALUES.get(m[1], f"x{m[1].replace('_', '')}"), template)


def requests(rows: Iterable[Endpoint]) -> Iterator[tuple[str, str, Endpoint]]:
    """(method, path, row) of everything that the rows name."""
    for row in rows:
        for path in row.paths:
            for method in row.methods:
                yield method, fill(path), row


ROUTED = tuple(requests(ENDPOINTS))
LEFT = tuple(requests(left.endpoint for left in LEFT_TO_MAIN))
