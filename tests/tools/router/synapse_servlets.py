"""Prints, as JSON, what each kind of Synapse process registers. Run by the Python environment that has Synapse.

    python synapse_servlets.py <features: default | all>

The processes are made from Synapse's own classes with real configurations and a real (SQLite) database; the
resources that its listeners build are caught before they are bound to a port.
Rows: [process, mount point, method or *, pattern or null, servlet].
"""

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import synapse.app._base as base_app
import synapse.app.generic_worker as worker_app
import synapse.app.homeserver as main_app
from signedjson.key import generate_signing_key, write_signing_keys
from synapse.app.generic_worker import GenericWorkerServer
from synapse.app.homeserver import SynapseHomeServer
from synapse.config.homeserver import HomeServerConfig
from synapse.http.server import JsonResource
from synapse.logging.context import LoggingContext
from twisted.internet import reactor

NAME = "chat.z3r0d3v.com"
PROCESSES = ("main", "client", "federation", "media")
"""Main, and a worker with each of the listener resources that a pool may need."""

# Experimental switches that add endpoints. Those that need the authentication service are left out: it replaces
# Synapse's login, and this platform does not have it.
FEATURES = (
    "msc2815", "msc3391", "msc3720", "msc3814", "msc3881", "msc3890", "msc4133", "msc4143", "msc4306", "msc4354",
    "msc4370", "msc4446", "msc4450", "msc4452", "msc4491", "msc4502", "msc4512", "msc1763", "msc2654", "msc3773",
)  # fmt: skip


def config(process: str, directory: Path, features: str) -> dict[str, Any]:
    experimental: dict[str, Any] = {}
    if features == "all":
        experimental = {f"{name}_enabled": True for name in FEATURES}
        experimental |= {"msc3983_appservice_otk_claims": True, "msc3984_appservice_key_query": True}
    resources = [process] if process != "main" else ["client", "federation"]
    listeners = [{"port": 1, "type": "http", "bind_addresses": ["127.0.0.1"], "resources": [{"names": resources}]}]
    result: dict[str, Any] = {
        "server_name": NAME,
        "public_baseurl": f"https://{NAME}/",
        "report_stats": False,
        "signing_key_path": str(directory / "signing.key"),
        "macaroon_secret_key": "m" * 32,
        "form_secret": "f" * 32,
        "worker_replication_secret": "w" * 32,
        "trusted_key_servers": [],
        "media_store_path": str(directory / "media"),
        "database": {"name": "sqlite3", "args": {"database": str(directory / "homeserver.db")}},
        "redis": {"enabled": True},
        "instance_map": {name: {"host": "localhost", "port": 9093} for name in PROCESSES},
        "enable_media_repo": process == "media",
        "media_instance_running_background_jobs": "media",
        "experimental_features": experimental,
        # Single sign-on, so that its pages are registered.
        "cas_config": {"enabled": True, "server_url": "https://cas.example.org"},
        "listeners": listeners if process == "main" else [],
    }
    if process != "main":
        result |= {
            "worker_app": "synapse.app.generic_worker",
            "worker_name": process,
            "worker_listeners": listeners,
        }
    return result


def resources(process: str, directory: Path, features: str) -> dict[str, Any]:
    """Mount point -> resource of one process."""
    settings = HomeServerConfig()
    settings.parse_config_dict(config(process, directory, features), "", "")
    kind = SynapseHomeServer if process == "main" else GenericWorkerServer
    module = main_app if process == "main" else worker_app
    server = kind(NAME, config=settings, reactor=reactor)
    caught: dict[str, Any] = {}

    def catch(tree: dict[str, Any], root: Any) -> Any:
        caught.update(tree)
        return root

    with (
        LoggingContext(name=process, server_name=NAME),
        patch.object(module, "create_resource_tree", catch),
        patch.object(main_app, "listen_http", lambda *_, **__: []),
        patch.object(base_app, "listen_http", lambda *_, **__: []),
    ):
        server.setup()
        if process == "main":
            for listener in settings.server.listeners:
                server._listener_http(settings, listener)
        else:
            for listener in settings.worker.worker_listeners:
                server._listen_http(listener)
    return caught


def rows(process: str, directory: Path, features: str) -> list[list[str | None]]:
    result: list[list[str | None]] = []
    for mount, resource in resources(process, directory, features).items():
        if not isinstance(resource, JsonResource):
            result.append([process, mount, "*", None, type(resource).__name__])
            continue
        for pattern, methods in resource._routes.items():
            for method, entry in methods.items():
                result.append([process, mount, method.decode(), pattern.pattern, entry.servlet_classname])
    return result


def main() -> None:
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with (directory / "signing.key").open("w") as file:
            write_signing_keys(file, [generate_signing_key("a_test")])
        found = [row for process in PROCESSES for row in rows(process, directory, sys.argv[1])]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
