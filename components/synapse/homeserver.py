"""homeserver.yaml: what is the same for every process. What only some processes read is in `files.py`."""

from typing import Any

from components.redis.plan import REDIS_PORT
from components.synapse.paths import CONFIG_DIR, REDIS_DIR, SECRETS_DIR
from components.synapse.settings import Presence, RateLimit, RateLimits, SynapseSettings
from kube.context import Platform

PRESENCE_UP_TO = 5_000
"""Concurrent users up to which presence is on by itself. Each change of one user goes to everyone who shares a room,
through one writer: beyond, presence is most of what Synapse does."""


def presence_enabled(settings: SynapseSettings, platform: Platform) -> bool:
    if settings.presence is Presence.AUTO:
        return platform.concurrent_users <= PRESENCE_UP_TO
    return settings.presence is Presence.ON


def _limit(limit: RateLimit) -> dict[str, Any]:
    return {"per_second": limit.per_second, "burst_count": limit.burst_count}


def rate_limits(limits: RateLimits) -> dict[str, Any]:
    """rc_* options."""
    return {
        "rc_message": _limit(limits.message),
        "rc_login": {
            "address": _limit(limits.login_address),
            "account": _limit(limits.login_account),
            "failed_attempts": _limit(limits.login_failed_attempts),
        },
        "rc_joins": {"local": _limit(limits.joins_local), "remote": _limit(limits.joins_remote)},
        "rc_invites": {
            "per_room": _limit(limits.invites_per_room),
            "per_user": _limit(limits.invites_per_user),
            "per_issuer": _limit(limits.invites_per_issuer),
        },
        "rc_media_create": _limit(limits.media_create),
    }


def federation(allow: tuple[str, ...], enabled: bool) -> dict[str, Any]:
    """Who may be talked to: nobody with federation off, `allow` when it names someone, else everybody."""
    if not enabled:
        return {"federation_domain_whitelist": []}
    return {"federation_domain_whitelist": list(allow)} if allow else {}


def homeserver(
    settings: SynapseSettings, platform: Platform, *, redis_host: str, federation_allow: tuple[str, ...]
) -> dict[str, Any]:
    """The configuration that all processes share. A change restarts all of them, one after the other."""
    return {
        "server_name": platform.server_name,
        "public_baseurl": f"https://{platform.server_name}/",
        "serve_server_wellknown": False,  # the router does
        "report_stats": False,
        "enable_metrics": True,
        "log_config": f"{CONFIG_DIR}/log.yaml",
        "enable_registration": False,
        "allow_guest_access": False,
        "signing_key_path": f"{SECRETS_DIR}/signing.key",
        "macaroon_secret_key_path": f"{SECRETS_DIR}/macaroon_secret_key",
        "form_secret_path": f"{SECRETS_DIR}/form_secret",
        "registration_shared_secret_path": f"{SECRETS_DIR}/registration_shared_secret",
        "worker_replication_secret_path": f"{SECRETS_DIR}/worker_replication_secret",
        "redis": {
            "enabled": True,
            "host": redis_host,
            "port": REDIS_PORT,
            "password_path": f"{REDIS_DIR}/password",
        },
        # Deleted messages and left rooms stay in the database: an investigation must find them.
        "redaction_retention_period": None,
        "forgotten_room_retention_period": None,
        "enable_media_repo": False,  # but for the media processes, which say so themselves
        "url_preview_enabled": settings.url_previews.enabled,  # all processes: it is a capability that clients ask for
        "presence": {"enabled": presence_enabled(settings, platform)},
        "push": {"include_content": settings.push_include_content},
        "trusted_key_servers": [{"server_name": name} for name in settings.trusted_key_servers],
        "suppress_key_server_warning": True,
        **federation(federation_allow, platform.federation),
        **rate_limits(settings.rate_limits),
        **settings.extra,
    }


def log_config(level: str) -> dict[str, Any]:
    """Python's logging: one stream, standard output, the node collects it."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "precise": {
                "format": "%(asctime)s - %(name)s - %(lineno)d - %(levelname)s - %(request)s - %(message)s",
            }
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "precise", "stream": "ext://sys.stdout"}
        },
        # SQL at DEBUG writes access tokens.
        "loggers": {"synapse.storage.SQL": {"level": "INFO"}},
        "root": {"level": level, "handlers": ["console"]},
    }
