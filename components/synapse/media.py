"""Media: uploads live in object storage; the media process keeps a cache, and a clean-up beside it keeps it small.

How an upload goes: the process writes it into its local store, synapse-s3-storage-provider sends it to the bucket
(`store_synchronous`: the client's answer waits for that), and only then the client hears of it. The local store may
be lost at any time. A download that finds no local file takes it from the bucket.

The clean-up (`scripts/clean_media.py`) runs in the same pod, because it works on the same files. It deletes a file
only after it has seen it in the bucket.
"""

from typing import Any

from components.minio.plan import MinioPlan, UserName
from components.synapse.paths import MEDIA_CA_DIR, MEDIA_STORE_DIR, TMP_DIR
from components.synapse.settings import MediaSettings, SynapseSettings
from kube.pod import Resources
from kube.quantity import GI, MI, parse_bytes

CLEANER = Resources(cpu=50, memory=128 * MI, memory_limit=384 * MI)
CLEAN_EVERY_SECONDS = 600
CLEAN_BELOW_SHARE = 0.75
"""Of the cache volume. Above it the clean-up takes younger and younger files, down to the last step's age."""
CLEAN_AGES_SECONDS = (21_600, 3_600, 600)
"""Ages that the clean-up tries after `media.cache_age`, while the volume is too full."""

CLEAN_ALIVE = f"{TMP_DIR}/clean-up-alive"
"""Touched at every deletion and every round; the liveness probe looks at its age."""

MEDIA_USER: UserName = "synapse-media"
"""Our user of object storage, and its bucket."""

ALWAYS_BLOCKED = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::1/128",
    "2001:db8::/32",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)
"""Special-purpose ranges (IANA registries): a preview of a link must not become a request inside our own network."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


def seconds(duration: str) -> int:
    """Synapse's duration in seconds."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


def cache_bytes(settings: MediaSettings) -> int:
    return parse_bytes(settings.cache)


def scratch_bytes(settings: SynapseSettings) -> int:
    """/tmp of the media process: several uploads of the largest size at once, and thumbnails being made."""
    return max(GI, 8 * settings.max_upload_bytes)


def media_config(settings: SynapseSettings, storage: MinioPlan) -> dict[str, Any]:
    """What only media processes read: a change restarts nobody else."""
    media = settings.media
    retention = {
        "remote_media_lifetime": media.remote_media_lifetime,
        "local_media_lifetime": media.local_media_lifetime,
    }
    previews = settings.url_previews
    return {
        "enable_media_repo": True,
        "media_store_path": MEDIA_STORE_DIR,
        "max_upload_size": settings.max_upload_bytes,
        "media_storage_providers": [
            {
                "module": "s3_storage_provider.S3StorageProviderBackend",
                "store_local": True,
                "store_remote": True,
                "store_synchronous": True,
                "config": {
                    "bucket": storage.bucket(MEDIA_USER),
                    "region_name": storage.region,
                    "endpoint_url": storage.endpoint,
                },
            }
        ],
        "media_retention": {key: value for key, value in retention.items() if value},
        **(
            {"url_preview_ip_range_blacklist": sorted({*ALWAYS_BLOCKED, *previews.ip_range_blacklist})}
            if previews.enabled
            else {}
        ),
    }


def environment(storage: MinioPlan) -> dict[str, str | dict[str, Any]]:
    """How boto3 finds its credentials: never through a configuration file."""
    credentials = storage.credentials(MEDIA_USER)
    result: dict[str, str | dict[str, Any]] = {
        "AWS_ACCESS_KEY_ID": credentials.ref("access_key").env(),
        "AWS_SECRET_ACCESS_KEY": credentials.ref("secret_key").env(),
        "AWS_DEFAULT_REGION": storage.region,
        # No cloud's metadata service is asked for credentials.
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return {**result, "AWS_CA_BUNDLE": f"{MEDIA_CA_DIR}/ca.crt"} if storage.ca else result


def clean_environment(settings: SynapseSettings, storage: MinioPlan) -> dict[str, str]:
    """What `scripts/clean_media.py` reads."""
    first = seconds(settings.media.cache_age)
    ages = (first, *(age for age in CLEAN_AGES_SECONDS if age < first))
    return {
        "CLEAN_STORE": MEDIA_STORE_DIR,
        "CLEAN_BUCKET": storage.bucket(MEDIA_USER),
        "CLEAN_ENDPOINT": storage.endpoint,
        "CLEAN_ALIVE": CLEAN_ALIVE,
        "CLEAN_AGES": " ".join(str(age) for age in ages),
        "CLEAN_ABOVE_BYTES": str(int(cache_bytes(settings.media) * CLEAN_BELOW_SHARE)),
        "CLEAN_EVERY": str(CLEAN_EVERY_SECONDS),
    }
