"""What an operator may set about the router."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

from kube.settings import ResourceSettings, Settings


def _network(value: str) -> str:
    return str(ip_network(value))


Network = Annotated[str, AfterValidator(_network)]
"""An address range, such as 10.0.0.0/8 or fd00::/8; host bits are an error."""


class RateLimit(Settings):
    """At most `requests` in any `seconds`, on one router replica. More get 429 with Retry-After."""

    requests: int = Field(ge=1, description="Requests allowed in the window, on each router replica.")
    seconds: int = Field(ge=1, le=3600, description="Length of the sliding window in seconds.")


class RateLimitSettings(Settings):
    """Limits before Synapse is reached. Synapse has its own, finer ones (rc_*); these keep floods away from it."""

    login: RateLimit = Field(
        default=RateLimit(requests=120, seconds=60),
        description="Logins, registrations and requests for e-mails or SMS, by client address. An office behind one "
        "address shares this.",
    )
    token: RateLimit = Field(
        default=RateLimit(requests=600, seconds=10),
        description="All requests with one access token. A client that loads a large account stays below 100 a "
        "second; a broken one that syncs without waiting does not.",
    )
    federation: RateLimit = Field(
        default=RateLimit(requests=1000, seconds=10),
        description="All requests signed by one other server. Only with federation.",
    )
    exempt: tuple[Network, ...] = Field(
        default=(), description="Client addresses that no limit applies to: bridges, bots, monitoring."
    )


class RouterSettings(Settings):
    """HAProxy in front of all Synapse processes."""

    replicas: int = Field(default=2, ge=2, le=10, description="Router pods; each can carry all load alone.")
    threads: int = Field(
        default=2, ge=1, le=16, description="HAProxy threads per pod. One carries about 20,000 requests a second."
    )
    resources: ResourceSettings | None = Field(
        default=None, description="Size of one router pod; derived from the number of users when unset."
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        description="Where the edge's proxies connect from (the pod network). Only their X-Forwarded-For and "
        "X-Forwarded-Proto are believed.",
    )
    trusted_hops: int = Field(
        default=1,
        ge=1,
        le=5,
        description="How many trusted proxies append to X-Forwarded-For before the router; the client's address is "
        "that many entries from the right. 1: the edge gateway alone.",
    )
    admin_clients: tuple[Network, ...] = Field(
        default=("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        description="Client addresses that may use /_synapse/admin, and that through the internal listener only.",
    )
    limits: RateLimitSettings = Field(default_factory=RateLimitSettings, description="Rate limits at the router.")
    log_all: bool = Field(
        default=False,
        description="A log line for each request. Off: only for errors and for what the router answers itself; "
        "Synapse logs the rest. At 20,000 users on is about 150 GB a day.",
    )
    drain_seconds: int = Field(
        default=60,
        ge=5,
        le=300,
        description="How long a stopping router lets running requests end. A long poll takes 30 s.",
    )
