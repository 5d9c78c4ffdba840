"""Edits of a stack file, and what each does to a running stack. The table of tests/stacks/restart_sets.yaml."""

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from stack.diff import Effects, effects
from stack.plan import make_plan
from stack.record import record
from stack.resources import Recording
from tests.support.variants import TOGGLES, edited, merged, recording_of, stack_of


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What is written into the stack file, over a running stack of `base` (a variant)."""

    change: Mapping[str, Any]
    base: str = "small"
    dangerous: bool = False
    """the engine must refuse it"""


def _workers(process: str, base: str = "small", **settings: Any) -> Edit:
    return Edit(base=base, change={"synapse": {"workers": {process: settings}}})


def _image(name: str, tag: str = "next") -> Edit:
    return Edit(change={"images": {"overrides": {name: f"registry.example.org/{name}:{tag}"}}})


def _dangerous(change: Mapping[str, Any]) -> Edit:
    return Edit(change=change, dangerous=True)


EDITS: Mapping[str, Edit] = {
    # Counts of processes. Only what Synapse itself must know by name restarts anything.
    "synchrotrons 16 to 20": _workers("synchrotron", "large", replicas=20),
    "synchrotrons 4 to 5": _workers("synchrotron", replicas=5),
    "synchrotrons at most 8": _workers("synchrotron", autoscale={"max": 8}),
    "sliding sync 1 to 2": _workers("sliding_sync", replicas=2),
    "generic workers 2 to 3": _workers("generic", replicas=3),
    "pushers 1 to 2": _workers("pusher", replicas=2),
    "event persisters 2 to 3": _workers("event_persister", replicas=3),
    "receipts writers 1 to 2": _workers("receipts", replicas=2),
    "device list writers 1 to 2": _workers("device_lists", replicas=2),
    "federation senders 1 to 2": _workers("federation_sender", "federation", replicas=2),
    "federation readers 1 to 2": _workers("federation_reader", "federation", replicas=2),
    "federation inbound 1 to 2": _workers("federation_inbound", "federation", replicas=2),
    # Sizes.
    "memory of synchrotrons": _workers("synchrotron", resources={"cpu": "500m", "memory": "1152Mi"}),
    "database connections of a generic worker": _workers("generic", cp_max=9),
    "memory of Redis": Edit(change={"redis": {"synapse": {"resources": {"cpu": "100m", "memory": "400Mi"}}}}),
    "memory of PostgreSQL": Edit(
        change={"postgres": {"resources": {"cpu": "1500m", "memory": "9Gi", "memory_limit": "9Gi"}}}
    ),
    "volume of PostgreSQL": Edit(change={"postgres": {"storage": "220Gi"}}),
    "drives of object storage": Edit(change={"minio": {"drive_size": "450Gi"}}),
    "memory of object storage": Edit(change={"minio": {"resources": {"cpu": "1", "memory": "3500Mi"}}}),
    "router pods 2 to 3": Edit(change={"synapse": {"router": {"replicas": 3}}}),
    "edge proxies 2 to 3": Edit(change={"edge": {"replicas": 3}}),
    "Redis proxies 2 to 3": Edit(change={"redis": {"synapse": {"proxy_replicas": 3}}}),
    "another node in each pool": Edit(
        change={"node_pools": {name: {"count": n} for name, n in (("application", 4), ("database", 4), ("storage", 5))}}
    ),
    # Behaviour.
    "log level of Synapse": Edit(change={"synapse": {"log_level": "DEBUG"}}),
    "log of the router": Edit(change={"synapse": {"router": {"log_all": True}}}),
    "largest upload": Edit(change={"synapse": {"max_upload_size": "200M"}}),
    "presence off": Edit(change={"synapse": {"presence": "off"}}),
    "rate limit of messages": Edit(
        change={"synapse": {"rate_limits": {"message": {"per_second": 2, "burst_count": 40}}}}
    ),
    "rate limit of the router": Edit(
        change={"synapse": {"router": {"limits": {"login": {"requests": 60, "seconds": 60}}}}}
    ),
    "another key of homeserver.yaml": Edit(change={"synapse": {"extra": {"require_auth_for_profile_requests": True}}}),
    "parameter of PostgreSQL": Edit(change={"postgres": {"parameters": {"log_min_duration_statement": "2000"}}}),
    "backup schedule": Edit(change={"postgres": {"backups": {"schedule": "0 0 4 * * *"}}}),
    "who may administer": Edit(change={"edge": {"administrators": ["192.0.2.0/24"]}}),
    "addresses of the API server": Edit(change={"network": {"api_server": ["192.0.2.10/32"]}}),
    "servers that we federate with": Edit(base="federation", change={"federation": {"allow": ["matrix.example.org"]}}),
    # Images: the pods that run them, and no others.
    "image of Synapse": _image("synapse"),
    "image of HAProxy": _image("haproxy"),
    "image of Valkey": _image("valkey"),
    "image of PostgreSQL": _image("postgres", "18.7-standard-trixie"),
    "image of object storage": _image("minio"),
    # The way in.
    "public certificates by ACME": Edit(
        change={"edge": {"tls": {"source": "acme", "acme": {"email": "admin@example.org"}}}}
    ),
    "another public address": Edit(change={"edge": {"metallb": {"address_ranges": ["198.51.100.30-198.51.100.40"]}}}),
    "names for an intranet without DNS": Edit(
        change={"host_aliases": [{"ip": "192.0.2.7", "hostnames": ["chat.z3r0d3v.com"]}]}
    ),
    # What the engine refuses unless it is confirmed.
    "another server name": _dangerous({"server_name": "matrix.example.org"}),
    "federation on": _dangerous({"federation": {"enabled": True}}),
    "federation on, confirmed": Edit(change={"federation": {"enabled": True}, "safety": {"confirm": ["federation"]}}),
    "another namespace": _dangerous({"namespace": "chat"}),
    "protection lifted": Edit(change={"safety": {"protect": False}}),
}


def _toggle(variant: str) -> Mapping[str, Any]:
    return TOGGLES[variant][1] if variant in TOGGLES else {}


def after(name: str) -> Recording:
    """The stack with the edit."""
    edit = EDITS[name]
    stack = stack_of(edit.base)
    return record(make_plan(edited(stack, merged(_toggle(edit.base), edit.change)), stack))


def _effects(name: str) -> Effects:
    return effects(recording_of(EDITS[name].base), after(name))


@cache
def all_effects() -> Mapping[str, Effects]:
    """Edit -> what applying it does. On all processors: each edit is a program of its own."""
    for base in {edit.base for edit in EDITS.values()}:
        recording_of(base)  # once, before the processes are forked
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        return dict(zip(EDITS, pool.map(_effects, EDITS, chunksize=4), strict=True))
