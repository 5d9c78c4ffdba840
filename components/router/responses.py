"""What the router answers by itself: errors in Matrix's own form, preflights, and /.well-known/matrix/.

A browser shows a cross-origin error without CORS headers as "network error", and a client that finds HTML where it
expects JSON gives up. So every error that HAProxy makes has a JSON body with `errcode`, and CORS headers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.router.plan import RouterPlan

CORS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "X-Requested-With, Content-Type, Authorization, Date",
    "Access-Control-Expose-Headers": "Synapse-Trace-Id, Server, Retry-After",
}
"""As Synapse sets them; Retry-After is exposed as well, since we send it."""


@dataclass(frozen=True, slots=True)
class Error:
    """One error of the router's own. `retry_seconds`: when asking again makes sense."""

    status: int
    reason: str
    errcode: str
    text: str
    retry_seconds: int | None = None

    @property
    def body(self) -> str:
        body: dict[str, Any] = {"errcode": self.errcode, "error": self.text}
        if self.retry_seconds is not None:
            body["retry_after_ms"] = 1000 * self.retry_seconds
        return json.dumps(body)

    @property
    def file(self) -> str:
        """The whole response, as HAProxy's `errorfile` wants it."""
        headers = {
            "Content-Type": "application/json",
            "Cache-Control": "no-cache, no-store, must-revalidate",
            **CORS,
            "Content-Length": str(len(self.body.encode())),
        }
        if self.retry_seconds is not None:
            headers["Retry-After"] = str(self.retry_seconds)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} {self.reason}\r\n{head}\r\n{self.body}"


ERRORS: tuple[Error, ...] = (
    Error(400, "Bad Request", "M_UNKNOWN", "The request is malformed"),
    Error(403, "Forbidden", "M_FORBIDDEN", "This is not available here"),
    Error(404, "Not Found", "M_UNRECOGNIZED", "Unrecognized request"),
    Error(405, "Method Not Allowed", "M_UNRECOGNIZED", "Unrecognized request"),
    Error(408, "Request Timeout", "M_UNKNOWN", "The request took too long to arrive", 1),
    Error(413, "Content Too Large", "M_TOO_LARGE", "The request body is too large"),
    Error(429, "Too Many Requests", "M_LIMIT_EXCEEDED", "Too many requests", 10),
    Error(500, "Internal Server Error", "M_UNKNOWN", "Internal error"),
    Error(501, "Not Implemented", "M_UNRECOGNIZED", "Unrecognized request"),
    Error(502, "Bad Gateway", "M_UNKNOWN", "The server process failed; please try again", 2),
    Error(503, "Service Unavailable", "M_UNKNOWN", "The server is overloaded or restarting; please try again", 5),
    Error(504, "Gateway Timeout", "M_UNKNOWN", "The server process did not answer in time", 5),
)

SECTION = "matrix"
"""Name of HAProxy's http-errors section."""


def http_errors(directory: str) -> str:
    """The http-errors section that names the error files."""
    lines = "".join(f"    errorfile {e.status} {directory}/{e.status}.http\n" for e in ERRORS)
    return f"http-errors {SECTION}\n{lines}"


def error_files() -> dict[str, str]:
    return {f"{error.status}.http": error.file for error in ERRORS}


def headers(extra: Mapping[str, str] | None = None) -> str:
    """`hdr` arguments of an `http-request return`."""
    return " ".join(f'hdr "{name}" "{value}"' for name, value in {**CORS, **(extra or {})}.items())


def well_known_files(plan: RouterPlan) -> dict[str, str]:
    """File name -> JSON body; only of the documents that exist in this stack."""
    known = plan.well_known
    documents: dict[str, Mapping[str, Any]] = {"well-known-client.json": known.client}
    if plan.federation:
        documents["well-known-server.json"] = {"m.server": known.server}
    if known.support:
        documents["well-known-support.json"] = known.support
    return {name: json.dumps(document, indent=2, sort_keys=True) + "\n" for name, document in documents.items()}
