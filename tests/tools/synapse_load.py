"""Loads configurations as Synapse's own applications do, and prints what each process then thinks it is.

Runs in a Python that has Synapse. Standard input: a JSON list of {"name", "app", "files"}; standard output: a JSON
object, name -> view, or name -> {"error": what Synapse said}.
"""

import contextlib
import io
import json
import sys
from typing import Any

from synapse.app import generic_worker, homeserver
from synapse.config.homeserver import HomeServerConfig


def load(app: str, files: list[str]) -> HomeServerConfig:
    arguments = [word for file in files for word in ("-c", file)]
    loader = homeserver.load_or_generate_config if app == "synapse.app.homeserver" else generic_worker.load_config
    return loader(arguments)


def listeners(config: HomeServerConfig) -> dict[str, list[str]]:
    found = config.worker.worker_listeners if config.worker.worker_app else config.server.listeners
    return {
        str(listener.port): [n for r in listener.http_options.resources for n in r.names]
        if listener.http_options
        else [listener.type]
        for listener in found
    }


def view(config: HomeServerConfig) -> dict[str, Any]:
    worker, media = config.worker, config.media
    database = config.database.get_single_database().config["args"]
    is_media = media.can_load_media_repo
    return {
        "instance_name": worker.instance_name,
        "worker_app": worker.worker_app,
        "writers": {stream: list(names) for stream, names in vars(worker.writers).items()},
        "instance_map": {name: [where.host, where.port] for name, where in worker.instance_map.items()},
        "run_background_tasks": worker.run_background_tasks,
        "should_notify_appservices": worker.should_notify_appservices,
        "should_update_user_directory": worker.should_update_user_directory,
        "start_pushers": worker.start_pushers,
        "pushers": worker.pusher_shard_config.instances,
        "send_federation": worker.send_federation,
        "senders": worker.federation_shard_config.instances,
        "replication_secret": worker.worker_replication_secret,
        "listeners": listeners(config),
        "x_forwarded": [
            listener.http_options.x_forwarded
            for listener in (worker.worker_listeners or config.server.listeners)
            if listener.http_options and listener.port == 8008
        ],
        "media": {
            "background_jobs": media.media_instance_running_background_jobs,
            "max_upload_size": media.max_upload_size,
            "store": media.media_store_path,
            "local": media.enable_local_media_storage,
            "remote_lifetime_ms": media.media_retention_remote_media_lifetime_ms,
            "local_lifetime_ms": media.media_retention_local_media_lifetime_ms,
            "providers": [
                [f"{cls.__module__}.{cls.__qualname__}", parsed, vars_of(wrapper)]
                for cls, parsed, wrapper in media.media_storage_providers
            ],
        }
        if is_media
        else None,
        "url_previews": media.url_preview_enabled,
        "blocked": sorted(str(n) for n in media.url_preview_ip_range_blocklist.iter_cidrs())
        if is_media and media.url_preview_enabled
        else None,
        "database": database,
        "caches": [config.caches.global_factor, config.caches.cache_autotuning],
        "presence": config.server.presence_enabled,
        "redaction_retention": config.server.redaction_retention_period,
        "forgotten_room_retention": config.server.forgotten_room_retention_period,
        "registration": config.registration.enable_registration,
        "registration_secret": config.registration.registration_shared_secret,
        "report_stats": config.metrics.report_stats,
        "metrics": config.metrics.enable_metrics,
        "federation_allowed": None
        if config.federation.federation_domain_whitelist is None
        else sorted(config.federation.federation_domain_whitelist),
        "key_servers": [server.server_name for server in config.key.key_servers],
        "signing_key": f"{config.key.signing_key[0].alg}:{config.key.signing_key[0].version}",
        "macaroon": config.key.macaroon_secret_key.decode(),
        "redis": [config.redis.redis_host, config.redis.redis_port, config.redis.redis_password],
        "public_baseurl": config.server.public_baseurl,
        "rc_message": [config.ratelimiting.rc_message.per_second, config.ratelimiting.rc_message.burst_count],
        "push_content": config.push.push_include_content,
    }


def vars_of(wrapper: Any) -> dict[str, bool]:
    return {name: getattr(wrapper, name) for name in ("store_local", "store_remote", "store_synchronous")}


def main() -> None:
    result: dict[str, Any] = {}
    for request in json.load(sys.stdin):
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                result[request["name"]] = view(load(request["app"], request["files"]))
        except SystemExit:
            result[request["name"]] = {"error": said.getvalue().strip()}
        except Exception as error:  # what Synapse raises differs by section: its words are what the test compares
            result[request["name"]] = {"error": f"{type(error).__name__}: {error}"}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
