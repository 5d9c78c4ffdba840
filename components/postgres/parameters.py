"""postgresql.conf, derived from the pod's memory and its WAL volume. Integers are bytes."""

from kube.quantity import GI, MI

CONNECTION_MEMORY = 10 * MI
"""Private memory of one connected backend, most of it its caches of Synapse's some 170 tables and their indexes. An
estimate on the safe side: 5 to 10 MB are usual."""


def _megabytes(value: int) -> str:
    return f"{max(value // MI, 1)}MB"


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def connection_ceiling(memory_limit: int) -> int:
    """More connections than this would leave less than half of the memory to buffers, caches and sorting."""
    return memory_limit // 2 // CONNECTION_MEMORY


def memory_parameters(memory: int, max_connections: int) -> dict[str, str]:
    """Who gets what of the memory that the pod requests (the part that it has for certain)."""
    buffers = memory // 4
    # Half of what buffers and backends leave is for sorting, were all connections to sort at once. They never do.
    left = memory - buffers - max_connections * CONNECTION_MEMORY
    maintenance = _clamp(memory // 16, 64 * MI, 2 * GI)
    return {
        "max_connections": str(max_connections),
        # The quarter is PostgreSQL's own advice for a dedicated server.
        "shared_buffers": _megabytes(buffers),
        # What the kernel will cache in this pod besides; only an estimate for the planner.
        "effective_cache_size": _megabytes(memory * 7 // 10),
        "work_mem": _megabytes(_clamp(left // 2 // max_connections, 4 * MI, 64 * MI)),
        "maintenance_work_mem": _megabytes(maintenance),
        # Three autovacuum workers may each take this much.
        "autovacuum_work_mem": _megabytes(maintenance // 2),
    }


def wal_parameters(wal: int) -> dict[str, str]:
    """How the WAL volume is shared: a fifth for checkpoints, two fifths for slots that lag, the rest for an archive
    that does not answer. A dead subscriber loses its slot before it can fill the disk of the primary."""
    return {
        "max_wal_size": _megabytes(wal // 5),
        "min_wal_size": _megabytes(min(wal // 20, 2 * GI)),
        "max_slot_wal_keep_size": _megabytes(wal * 2 // 5),
        # Every full page after a checkpoint goes to the log, the replicas and the archive: compress it.
        "wal_compression": "lz4",
        "checkpoint_timeout": "15min",
    }


REPLICATION = {
    "wal_level": "logical",
    # Logical slots (LI) survive a failover: the three together, and the operator's synchronizeLogicalDecoding.
    "hot_standby_feedback": "on",
    "sync_replication_slots": "on",
    # Instances, joins of new ones, and logical subscriptions with their initial copies.
    "max_wal_senders": "32",
    "max_replication_slots": "32",
}

TUNING = {
    # Local NVMe: a random read costs little more than the next page.
    "random_page_cost": "1.1",
    "effective_io_concurrency": "200",
    # Compiling a query pays for reports, not for a homeserver's thousands of short ones.
    "jit": "off",
    "default_toast_compression": "lz4",
    # Synapse's tables have up to billions of rows: the default of 20 % dead rows would come months apart.
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_cost_limit": "2000",
    # A process that was lost with its node must not hold locks for two hours (the kernel's default).
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
    "pg_stat_statements.max": "5000",
    "pg_stat_statements.track": "top",
}

PRIVACY = {
    # psycopg2 writes values into the statement, so a logged statement is a logged message. Neither statements nor
    # details of errors ("Key (…)=(…) already exists") go to the log.
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


def parameters(*, memory: int, wal: int, max_connections: int, overrides: dict[str, str]) -> dict[str, str]:
    """The whole of spec.postgresql.parameters."""
    return {
        **memory_parameters(memory, max_connections),
        **wal_parameters(wal),
        **REPLICATION,
        **TUNING,
        **PRIVACY,
        **overrides,
    }
