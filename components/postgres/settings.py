"""What an operator may set about PostgreSQL."""

import re
from datetime import datetime
from typing import Literal

from pydantic import Field, field_validator, model_validator

from kube.quantity import GI, MI, Size, parse_bytes
from kube.settings import ResourceSettings, Settings

SYNAPSE_SESSION = {
    "bytea_output": "escape",
    "statement_timeout": "600000",
    "idle_in_transaction_session_timeout": "1800000",
}
"""What Synapse 1.163 SETs on each new connection (synapse/storage/engines/postgres.py), with its default values."""

MANAGED_PARAMETERS = frozenset(
    {
        "archive_mode",
        "archive_command",
        "cluster_name",
        "hot_standby",
        "hot_standby_feedback",
        "listen_addresses",
        "max_connections",
        "port",
        "primary_conninfo",
        "primary_slot_name",
        "restore_command",
        "shared_preload_libraries",
        "ssl",
        "sync_replication_slots",
        "synchronized_standby_slots",
        "synchronous_standby_names",
        "unix_socket_directories",
        "wal_level",
    }
)
"""Parameters that are CloudNativePG's, or that the platform's promises rest on."""

_PARAMETER = re.compile(r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$")


def _check_parameters(values: dict[str, str]) -> dict[str, str]:
    for name in values:
        if not _PARAMETER.match(name):
            raise ValueError(f"{name!r} is no name of a PostgreSQL parameter")
    return values


class PoolerSettings(Settings):
    """PgBouncer between Synapse and PostgreSQL. Synapse pools by itself, so this is for unusual cases."""

    enabled: bool = Field(default=False, description="Put PgBouncer in between. Off: processes connect directly.")
    mode: Literal["session", "transaction"] = Field(
        default="session",
        description="session: a client keeps its server connection. transaction: gives it back after each transaction; "
        "only with role_settings, because what Synapse SETs would be left on somebody else's connection.",
    )
    instances: int = Field(default=2, ge=2, le=10, description="PgBouncer pods.")
    server_connections: int = Field(
        default=200, ge=10, le=5000, description="Connections that one PgBouncer pod may hold to PostgreSQL."
    )
    role_settings: dict[str, str] = Field(
        default_factory=dict,
        description="Settings of the database role, so that every connection has them from the start, whoever used "
        "it before. transaction mode demands what Synapse SETs: bytea_output, statement_timeout, "
        "idle_in_transaction_session_timeout, with the values of its configuration.",
    )

    @field_validator("role_settings")
    @classmethod
    def _names(cls, value: dict[str, str]) -> dict[str, str]:
        return _check_parameters(value)

    @model_validator(mode="after")
    def _transaction_needs_role_settings(self) -> "PoolerSettings":
        if not self.enabled or self.mode != "transaction":
            return self
        missing = sorted(set(SYNAPSE_SESSION) - set(self.role_settings))
        if missing:
            raise ValueError(
                "mode transaction needs role_settings: Synapse SETs them once for each connection, and PgBouncer hands "
                f"that connection to another process after the transaction. Missing: {', '.join(missing)} "
                f"(Synapse's defaults: {', '.join(f'{k}={SYNAPSE_SESSION[k]}' for k in missing)})"
            )
        if self.role_settings["bytea_output"] != "escape":
            raise ValueError("role_settings.bytea_output must be escape, which is what Synapse sets and reads")
        return self


class BackupSettings(Settings):
    """Continuous backup to object storage: base backups by schedule, and every WAL segment."""

    enabled: bool = Field(
        default=True,
        description="Base backups and WAL archive in the bucket postgres-backups. Without: a deleted table is lost.",
    )
    schedule: str = Field(
        default="0 30 2 * * *",
        description="When a base backup is made, in UTC. Six fields: second minute hour day month weekday.",
    )
    retention: str = Field(
        default="30d",
        pattern=r"^[1-9][0-9]*[dwm]$",
        description="How far back a restore can go, as 30d, 4w or 2m. Older base backups and WAL are deleted.",
    )
    wal_parallel: int = Field(
        default=4, ge=1, le=32, description="WAL segments that are uploaded or fetched at once; a burst needs several."
    )

    @field_validator("schedule")
    @classmethod
    def _six_fields(cls, value: str) -> str:
        fields = value.split()
        if len(fields) == 5:
            raise ValueError("must have six fields, seconds first; with five, CloudNativePG reads the minute as second")
        if len(fields) != 6 or not all(re.fullmatch(r"[0-9A-Za-z*/,?-]+", field) for field in fields):
            raise ValueError("must be a cron expression of six fields (second minute hour day month weekday)")
        return value


class RestoreSettings(Settings):
    """Where the database came from. A Cluster that is made from a backup keeps this for its life: see `restore`."""

    backup_server_name: str = Field(
        min_length=1,
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        description="Folder in the bucket: the name of the Cluster that made the backup, as postgres-main.",
    )
    target_time: str | None = Field(
        default=None,
        description="Moment to restore to, with its zone, as 2026-11-21T09:30:00+00:00. Unset: the end of the archive.",
    )

    @field_validator("target_time")
    @classmethod
    def _moment(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a moment such as 2026-11-21T09:30:00+00:00") from None
        if moment.tzinfo is None:
            raise ValueError("must name its zone (+00:00 or Z), or it is anybody's guess which moment is meant")
        return value


class PostgresSettings(Settings):
    """The main database cluster: Synapse's events, accounts and keys. The one thing that must not be lost."""

    instances: int | None = Field(
        default=None,
        ge=3,
        le=9,
        description="PostgreSQL servers, each on a node of its own: one primary, the others copies. Odd, at least 3. "
        "From the CCU band when unset (3; 5 above 10,000).",
    )
    resources: ResourceSettings | None = Field(
        default=None,
        description="Size of one server. From the CCU band when unset. Memory decides buffers, caches and how many "
        "connections are sane; a change restarts the servers one by one, with one switchover.",
    )
    storage: Size | None = Field(
        default=None,
        description="Volume for data. From the CCU band when unset. May grow while running, if the storage class can; "
        "Kubernetes cannot shrink a volume, and CloudNativePG refuses a smaller number.",
    )
    wal_storage: Size | None = Field(
        default=None,
        description="Volume for the write-ahead log, apart from the data so that a full log cannot stop a data file. "
        "From the CCU band when unset. Grows, never shrinks.",
    )
    max_connections: int | None = Field(
        default=None,
        ge=50,
        le=10_000,
        description="Connections that PostgreSQL accepts. From the CCU band when unset, so that scaling workers "
        "restarts no database. Must cover all Synapse processes at their autoscaling maximum, and the reserve.",
    )
    reserved_connections: int = Field(
        default=50,
        ge=10,
        le=500,
        description="Connections kept for all others: superuser, metrics, backup, maintenance, other services of ours.",
    )
    parameters: dict[str, str] = Field(
        default_factory=dict,
        description="Parameters of postgresql.conf that win over the derived ones. Not those that CloudNativePG or the "
        "platform's promises rest on.",
    )
    backups: BackupSettings = Field(default_factory=BackupSettings, description="Continuous backup.")
    restore: RestoreSettings | None = Field(
        default=None,
        description="Make the cluster from a backup instead of empty. It gets a name of its own, postgres-main-<hash>, "
        "so it never writes over the archive that it came from. In a running stack this replaces the database: refused "
        "unless safety.confirm lists database_name. The old Cluster then stays beside it, with its nodes and disks, "
        "until you delete it. Leave the setting in the file afterwards: without it the old name is meant again.",
    )
    pooler: PoolerSettings = Field(default_factory=PoolerSettings, description="Optional PgBouncer.")

    @field_validator("instances")
    @classmethod
    def _odd(cls, value: int | None) -> int | None:
        if value is not None and value % 2 == 0:
            raise ValueError(
                f"must be odd: an even number survives no more losses than the odd one below it (got {value})"
            )
        return value

    @field_validator("resources")
    @classmethod
    def _enough_memory(cls, value: ResourceSettings | None) -> ResourceSettings | None:
        if value is not None and parse_bytes(value.memory) < 512 * MI:
            raise ValueError("memory must be at least 512Mi: PostgreSQL's buffers are a quarter of it")
        return value

    @field_validator("storage", "wal_storage")
    @classmethod
    def _large_enough(cls, value: str | None) -> str | None:
        if value is not None and parse_bytes(value) < 2 * GI:
            raise ValueError("must be at least 2Gi: an empty cluster fills less than that within a day")
        return value

    @field_validator("parameters")
    @classmethod
    def _not_managed(cls, value: dict[str, str]) -> dict[str, str]:
        managed = sorted(set(value) & MANAGED_PARAMETERS)
        if managed:
            raise ValueError(f"{', '.join(managed)}: decided by the platform or by CloudNativePG, not here")
        return _check_parameters(value)
