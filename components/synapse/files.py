"""Which file holds what, so that an edit restarts exactly the processes that read it.

| ConfigMap | holds | mounted by |
|---|---|---|
| `synapse` | homeserver.yaml, log.yaml, the scripts | every process |
| `synapse-instances` | instances.yaml: instance_map, stream_writers | every process |
| `synapse-senders` | senders.yaml: federation_sender_instances | main, federation senders |
| `synapse-<type>` | process.yaml: listeners, database, caches, duties, media | that type |
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.synapse.caches import caches
from components.synapse.homeserver import homeserver, log_config
from components.synapse.instances import REPLICATION_PORT, duties, instances, sender_shards, senders, writer_shards
from components.synapse.media import media_config
from components.synapse.paths import DATABASE_CA_DIR
from components.synapse.plan import HEALTH_PORT, HTTP_PORT, METRICS_PORT, SynapsePlan
from components.synapse.process_types import ProcessType, Serves
from components.synapse.processes import Process
from kube.files import ConfigFiles

SCRIPTS = ("start.sh", "wait.py", "clean_media.py")


def _yaml(document: dict[str, Any]) -> str:
    return _rendered(json.dumps(document))


@cache
def _rendered(document: str) -> str:
    # Every process asks for the files that all of them mount, and writing YAML is slow.
    return yaml.safe_dump(
        json.loads(document), sort_keys=False, default_flow_style=False, width=120, allow_unicode=True
    )


@cache
def script(name: str) -> str:
    return (Path(__file__).parent / "scripts" / name).read_text()


def resources(process: Process, *, federation: bool) -> list[str]:
    """Resource names of the HTTP listener. /openid always stays reachable on main: calls and widgets ask it."""
    names = list(process.traits.serves.value)
    if process.is_main:
        names.append("federation" if federation else "openid")
    return names


def listeners(process: Process, *, federation: bool) -> list[dict[str, Any]]:
    """What a process listens on. The health listener is apart, so that a full one on 8008 does not hide it."""

    def http(port: int, names: list[str], **more: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "port": port,
            "bind_addresses": ["0.0.0.0"],
            **more,
            "resources": [{"names": names, "compress": False}],
        }

    result = [
        http(HEALTH_PORT, ["health"]),
        {"type": "metrics", "port": METRICS_PORT, "bind_addresses": ["0.0.0.0"]},
    ]
    if process.traits.serves is not Serves.NOTHING:
        # The router writes the one X-Forwarded-For entry.
        result.insert(0, http(HTTP_PORT, resources(process, federation=federation), x_forwarded=True))
    if process.is_main or process.traits.stream:
        result.append(http(REPLICATION_PORT, ["replication"]))
    return result


def application_name(plan: SynapsePlan, process: Process) -> str:
    """What PostgreSQL calls a process' connections: its type, and the hashes of the lists that it was started with.

    `scripts/wait.py` reads them: a process does not start while one with other lists is connected.
    """
    parts = [process.name, writer_shards(plan.processes)]
    if process.type is ProcessType.FEDERATION_SENDER:
        parts.append(str(sender_shards(plan.processes)))
    return "/".join(parts)


def database(plan: SynapsePlan, process: Process) -> dict[str, Any]:
    """libpq's words. The password is in the environment; a lost server is noticed after 10 + 3 × 5 seconds."""
    return {
        "name": "psycopg2",
        "args": {
            "user": plan.database.owner,
            "dbname": plan.database.database,
            "host": plan.database.host,
            "port": plan.database.port,
            "sslmode": "verify-full",
            "sslrootcert": f"{DATABASE_CA_DIR}/ca.crt",
            "application_name": application_name(plan, process),
            "connect_timeout": 10,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "cp_min": min(3, process.cp_max),
            "cp_max": process.cp_max,
        },
    }


def process_config(plan: SynapsePlan, process: Process) -> dict[str, Any]:
    """process.yaml of one type."""
    result: dict[str, Any] = {}
    if not process.is_main:
        result["worker_app"] = "synapse.app.generic_worker"
    federation = plan.platform.federation
    result["listeners" if process.is_main else "worker_listeners"] = listeners(process, federation=federation)
    result["database"] = database(plan, process)
    result["caches"] = caches(process.resources.memory_limit)
    result.update(duties(process, plan.processes))
    if process.type is ProcessType.MEDIA_REPOSITORY:
        result.update(media_config(plan.settings, plan.media))
    return result


def shared_files(plan: SynapsePlan) -> ConfigFiles:
    shared = homeserver(
        plan.settings, plan.platform, redis_host=plan.redis.host, federation_allow=plan.federation_allow
    )
    return ConfigFiles(
        base="synapse",
        namespace=plan.namespace,
        data={
            "homeserver.yaml": _yaml(shared),
            "log.yaml": _yaml(log_config(plan.settings.log_level.value)),
            **{name: script(name) for name in SCRIPTS},
        },
    )


def instance_files(plan: SynapsePlan) -> ConfigFiles:
    return ConfigFiles(
        base="synapse-instances",
        namespace=plan.namespace,
        data={"instances.yaml": _yaml(instances(plan.processes, plan.platform))},
    )


def reads_senders(process: Process) -> bool:
    """Main must know that it is no sender; the senders divide the destinations among them."""
    return process.is_main or process.type is ProcessType.FEDERATION_SENDER


def sender_files(plan: SynapsePlan) -> ConfigFiles:
    return ConfigFiles(
        base="synapse-senders",
        namespace=plan.namespace,
        data={"senders.yaml": _yaml({"federation_sender_instances": senders(plan.processes)})},
    )


def process_files(plan: SynapsePlan, process: Process) -> ConfigFiles:
    return ConfigFiles(
        base=process.name, namespace=plan.namespace, data={"process.yaml": _yaml(process_config(plan, process))}
    )


def all_files(plan: SynapsePlan) -> tuple[ConfigFiles, ...]:
    return (
        shared_files(plan),
        instance_files(plan),
        sender_files(plan),
        *(process_files(plan, process) for process in plan.processes),
    )


def files_of(plan: SynapsePlan, process: Process) -> tuple[ConfigFiles, ...]:
    """The ConfigMaps that the pods of this type mount."""
    own = (shared_files(plan), instance_files(plan), process_files(plan, process))
    return (*own, sender_files(plan)) if reads_senders(process) else own
