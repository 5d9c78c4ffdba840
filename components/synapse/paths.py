"""Where things are inside a Synapse pod."""

CONFIG_DIR = "/etc/synapse/shared"
"""homeserver.yaml, log.yaml, scripts: the same in every pod."""
INSTANCES_DIR = "/etc/synapse/instances"
"""instances.yaml: the same in every pod; in a ConfigMap of its own, because its change is a special one."""
PROCESS_DIR = "/etc/synapse/process"
"""process.yaml of this type of processes."""
SENDERS_DIR = "/etc/synapse/senders"
"""senders.yaml, in main and in federation senders only."""
RUN_DIR = "/run/synapse"
"""name.yaml, written at start: this very process' name."""
SECRETS_DIR = "/run/secrets/synapse"
REDIS_DIR = "/run/secrets/redis"
DATABASE_CA_DIR = "/run/secrets/postgres"
MEDIA_CA_DIR = "/run/secrets/media"
MEDIA_STORE_DIR = "/data/media"
TMP_DIR = "/tmp"

NAME_FILE = f"{RUN_DIR}/name.yaml"

CONFIG_FILES = (
    f"{CONFIG_DIR}/homeserver.yaml",
    f"{INSTANCES_DIR}/instances.yaml",
    f"{SENDERS_DIR}/senders.yaml",
    f"{PROCESS_DIR}/process.yaml",
    NAME_FILE,
)
"""In the order in which `scripts/start.sh` hands over those that exist; no key is in two of them, but for the media
repository's `enable_media_repo`: what comes later wins."""
