"""Wrong stack files, one mistake each, by what a person did wrong: edits of the committed small stack."""

from collections.abc import Mapping
from typing import Any

_USERS = ("synapse-media", "li-media-reader", "postgres-backups", "postgres-li-backups", "loki", "media-backup")


def _workers(**workers: Any) -> Mapping[str, Any]:
    return {"synapse": {"workers": workers}}


def _hosts(**hosts: str) -> Mapping[str, Any]:
    return {"edge": {"hosts": hosts}}


def _ranges(*ranges: str) -> Mapping[str, Any]:
    return {"edge": {"metallb": {"address_ranges": list(ranges)}}}


def _external(**overrides: Any) -> Mapping[str, Any]:
    user = {"bucket": "media", "access_key": "key", "secret_key": {"secure": "v1:AAAA:BBBB"}}
    users = dict.fromkeys((*_USERS, "media-backup-reader"), user) | overrides
    return {"minio": {"backend": "external", "external": {"endpoint": "https://s3.intern:9000", "users": users}}}


MISSING = object()
"""Stands for a key that is taken out."""

BAD: Mapping[str, Mapping[str, Any]] = {
    "unknown key, nearly right": {"concurent_users": 100},
    "unknown key deep below, nearly right": _workers(synchrotrons={"replicas": 4}),
    "unknown key, like nothing": {"redis": {"synapse": {"xyz": 1}}},
    "wrong type: words for a number": {"concurrent_users": "many"},
    "wrong type: a number with a fraction": {"concurrent_users": 10.5},
    "wrong type: text for a mapping": {"redis": "big"},
    "wrong type: text for a list": {"images": {"pull_secrets": "login"}},
    "wrong type: a mapping for a switch": {"federation": {"enabled": {"yes": True}}},
    "too few users": {"concurrent_users": 0},
    "too many users": {"concurrent_users": 20_001},
    "a worker count below the minimum": _workers(generic={"replicas": 0}),
    "two writers of typing": _workers(typing={"replicas": 2}),
    "two main processes": _workers(main={"replicas": 2}),
    "three writers of receipts": _workers(receipts={"replicas": 3}),
    "an autoscaler for a writer": _workers(event_persister={"autoscale": {"enabled": True}}),
    "a maximum below the count": _workers(synchrotron={"replicas": 6, "autoscale": {"max": 5}}),
    "an application pool that is too small": {"node_pools": {"application": {"count": 2}}},
    "a pod that is larger than any node": _workers(main={"resources": {"cpu": "1", "memory": "64Gi"}}),
    "no pool for the database": {"node_pools": {"database": MISSING}},
    "more connections than PostgreSQL allows": {"postgres": {"max_connections": 100}},
    "an address range that is malformed": _ranges("198.51.100.10-twenty"),
    "an address range that runs backwards": _ranges("198.51.100.20-198.51.100.10"),
    "no address at all": _ranges(),
    "address ranges that overlap": _ranges("198.51.100.10-198.51.100.20", "198.51.100.15-198.51.100.30"),
    "one host for two purposes": _hosts(chat="web.example.org", admin="web.example.org"),
    "the server name as another host": _hosts(chat="chat.z3r0d3v.com"),
    "a server name that is no domain": {"server_name": "Chat_Server"},
    "a server name with a port": {"server_name": "chat.example.org:8448"},
    "a host that is no domain": _hosts(chat="web"),
    "an upload size that ClamAV cannot scan": {"synapse": {"max_upload_size": "2G"}},
    "an upload size that is no size": {"synapse": {"max_upload_size": "lots"}},
    "federation partners while federation is off": {"federation": {"allow": ["matrix.example.org"]}},
    "federation senders while federation is off": _workers(federation_sender={"replicas": 2}),
    "key servers while federation is off": {"synapse": {"trusted_key_servers": ["matrix.org"]}},
    "a quorum of Sentinels that is even": {"redis": {"synapse": {"replicas": 4}}},
    "a database cluster that is even": {"postgres": {"instances": 4}},
    "a storage class that is missing": {"storage_classes": {"database": MISSING}},
    "a storage class that is empty": {"storage_classes": {"object": ""}},
    "a secret in clear": _external(loki={"bucket": "loki", "access_key": "key", "secret_key": "hunter22"}),
    "no secret where one is due": _external(loki={"bucket": "loki", "access_key": "key"}),
    "a size that is none": _workers(main={"resources": {"cpu": "1", "memory": "plenty"}}),
    "a CPU amount that is none": _workers(main={"resources": {"cpu": "fast", "memory": "4Gi"}}),
    "a key of homeserver.yaml that Synapse does not know": {"synapse": {"extra": {"enable_regstration": True}}},
    "a key of homeserver.yaml that is ours": {"synapse": {"extra": {"instance_map": {}}}},
    "a secret among the keys of homeserver.yaml": {"synapse": {"extra": {"macaroon_secret_key": "x"}}},
    "an image that does not exist": {"images": {"overrides": {"synaps": "a/b:c"}}},
    "a guard that does not exist": {"safety": {"confirm": ["server-name"]}},
    "a network with host bits": {"edge": {"administrators": ["10.0.0.1/8"]}},
    "a log level that does not exist": {"synapse": {"log_level": "LOUD"}},
    "certificates by ACME without an address": {"edge": {"tls": {"source": "acme"}}},
    "an external store without its description": {"minio": {"backend": "external"}},
    "a backup schedule with five fields": {"postgres": {"backups": {"schedule": "30 2 * * *"}}},
}
