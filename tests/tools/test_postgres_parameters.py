"""A real PostgreSQL 17, the oldest that the platform takes, reads the configuration of every band.

It runs unpacked and unprivileged: `postgres -C` reads the whole file as a server would, and prints one value.
CloudNativePG writes the same lines, with its own beside them.
"""

import subprocess
from functools import cache
from pathlib import Path

import pytest

from components.postgres.plan import BANDS, PostgresPlan
from kube.quantity import GI
from sandbox.packages import debian_tree
from tests.postgres.examples import plan, platform

pytestmark = pytest.mark.tools

SMALLEST = {"storage": "2Gi", "wal_storage": "2Gi", "resources": {"cpu": "100m", "memory": "512Mi"}}
PLANS: dict[str, PostgresPlan] = {
    **{f"{b.users} people": plan(platform(users=b.users)) for b in BANDS},
    "smallest": plan(max_connections=50, **SMALLEST),
}


@cache
def _postgres() -> list[str]:
    return debian_tree(["postgresql-17"], "trixie").command("usr/lib/postgresql/17/bin/postgres")


def _read(directory: Path, parameters: dict[str, str], name: str) -> subprocess.CompletedProcess[str]:
    lines = [f"{key} = '{value}'" for key, value in parameters.items()]
    (directory / "postgresql.conf").write_text("\n".join(lines) + "\n")
    (directory / "postgresql.auto.conf").touch()
    # -C comes first: only then does PostgreSQL read a configuration as any user.
    return subprocess.run(
        [*_postgres(), "-C", name, "-D", str(directory)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("name", PLANS)
def test_postgresql_accepts_the_configuration_of_every_band(name: str, tmp_path: Path) -> None:
    made = PLANS[name]
    for parameter in made.parameters:
        if "." in parameter:
            continue  # an extension's: known only once it is loaded
        result = _read(tmp_path, dict(made.parameters), parameter)
        assert result.returncode == 0 and not result.stderr, f"{parameter}: {result.stderr}"


def test_postgresql_understands_our_units(tmp_path: Path) -> None:
    made = plan(platform(users=20_000))
    result = _read(tmp_path, dict(made.parameters), "shared_buffers")
    pages = int(result.stdout)
    assert pages * 8192 == made.resources.memory // 4 == 16 * GI, "a quarter of the memory, in pages of 8 KiB"


def test_a_parameter_that_does_not_exist_would_be_noticed(tmp_path: Path) -> None:
    result = _read(tmp_path, {"work_memory": "4MB"}, "work_mem")
    assert result.returncode != 0 and "work_memory" in result.stderr
