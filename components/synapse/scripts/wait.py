"""Init container of every Synapse process: waits until starting makes sense, and says what it waits for.

It waits for (1) Redis, (2) PostgreSQL, (3) workers only: the schema that this Synapse needs, which main brings,
(4) the end of every process that was started with another list of writers: two lists at once would send one room's
events to two persisters. Processes carry the hashes of their lists in PostgreSQL's application_name
(`<type>/<writers>` and, for federation senders, `/<senders>`).

Connection details come from libpq's own environment variables (PGHOST, PGPASSWORD, ...), and SHARDS, SENDER_SHARDS,
ROLE, REDIS_HOST, REDIS_PORT.
"""

import os
import socket
import sys
import time
from collections.abc import Callable

SENDER = "synapse-federation-sender"
OTHERS = """
    SELECT application_name, count(*) FROM pg_stat_activity
    WHERE usename = current_user AND pid <> pg_backend_pid() AND application_name LIKE 'synapse-%%/%%'
      AND (split_part(application_name, '/', 2) <> %(writers)s
           OR (%(senders)s <> '' AND split_part(application_name, '/', 1) = %(sender)s
               AND split_part(application_name, '/', 3) <> %(senders)s))
    GROUP BY application_name ORDER BY application_name
"""


def redis() -> str | None:
    address = (os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"]))
    try:
        socket.create_connection(address, timeout=3).close()
    except OSError as error:
        return f"Redis at {address[0]}:{address[1]} ({error})"
    return None


def database() -> str | None:
    """The reason to wait longer, or None. Never prints a password: libpq does not put it into its messages."""
    import psycopg2  # type: ignore[import-untyped, import-not-found, unused-ignore]

    try:
        connection = psycopg2.connect(connect_timeout=5, application_name="synapse-wait")
    except psycopg2.OperationalError as error:
        return f"PostgreSQL ({str(error).strip().splitlines()[0]})"
    try:
        with connection.cursor() as cursor:
            return schema(cursor) or other_lists(cursor)
    except psycopg2.Error as error:
        return f"PostgreSQL ({str(error).strip().splitlines()[0]})"
    finally:
        connection.close()


def schema(cursor) -> str | None:  # type: ignore[no-untyped-def]
    if os.environ["ROLE"] == "main":
        return None  # main brings the schema itself
    from synapse.storage.schema import SCHEMA_VERSION  # type: ignore[import-not-found, unused-ignore]

    cursor.execute("SELECT to_regclass('schema_version') IS NOT NULL")
    if not cursor.fetchone()[0]:
        return "main to create the database schema"
    cursor.execute("SELECT max(version) FROM schema_version")
    version = cursor.fetchone()[0] or 0
    if version < SCHEMA_VERSION:
        return f"main to bring the schema from {version} to {SCHEMA_VERSION}"
    return None


def other_lists(cursor) -> str | None:  # type: ignore[no-untyped-def]
    values = {"writers": os.environ["SHARDS"], "senders": os.environ.get("SENDER_SHARDS", ""), "sender": SENDER}
    cursor.execute(OTHERS, values)
    rows = cursor.fetchall()
    if not rows:
        return None
    who = ", ".join(f"{name} ({count} connections)" for name, count in rows)
    return f"processes with other lists of writers to end: {who}"


def wait(check: Callable[[], str | None], pause: float = 2.0) -> None:
    """Until `check` has no reason left. A reason is printed when it changes, and once a minute."""
    said, when = "", 0.0
    while reason := check():
        now = time.monotonic()
        if reason != said or now - when >= 60:
            print(f"waiting for {reason}", flush=True)
            said, when = reason, now
        time.sleep(pause)


if __name__ == "__main__":
    wait(redis)
    wait(database)
    print("everything is there", file=sys.stdout, flush=True)
