"""The scripts that run in Synapse's pods, run here: with programs and storage that only pretend."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from components.synapse import paths
from components.synapse.files import SCRIPTS, script
from components.synapse.media import clean_environment
from tests.synapse.builders import SMALL, plan

DIRECTORY = Path(__file__).parents[2] / "components" / "synapse" / "scripts"


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DIRECTORY / f"{name}.py")
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_every_script_is_delivered() -> None:
    assert {path.name for path in DIRECTORY.iterdir() if path.is_file()} == set(SCRIPTS)


def run_start(role: str, root: Path, present: tuple[str, ...]) -> list[str]:
    """The words that start.sh hands to Python, with its absolute paths below `root`."""
    for file in present:
        path = root / file.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    (root / "run/synapse").mkdir(parents=True, exist_ok=True)
    text = (
        script("start.sh").replace("/etc/synapse", f"{root}/etc/synapse").replace("/run/synapse", f"{root}/run/synapse")
    )
    (root / "start.sh").write_text(text)
    programs = root / "bin"
    programs.mkdir(exist_ok=True)
    python = programs / "python3"
    python.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n')
    python.chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "POD_NAME": "synapse-generic-7"}
    done = subprocess.run(
        ["sh", str(root / "start.sh"), role], env=environment, capture_output=True, text=True, check=True
    )
    return [word.replace(str(root), "") for word in done.stdout.splitlines()]


def test_a_worker_starts_under_its_pods_name_with_the_files_in_synapses_order(tmp_path: Path) -> None:
    present = tuple(f for f in paths.CONFIG_FILES if f not in (paths.CONFIG_FILES[2], paths.CONFIG_FILES[4]))
    words = run_start("worker", tmp_path, present)
    expected = [*present, "/run/synapse/name.yaml"]
    assert words == ["-m", "synapse.app.generic_worker", *(w for file in expected for w in ("-c", file))]
    assert (tmp_path / "run/synapse/name.yaml").read_text() == "worker_name: synapse-generic-7\n"


def test_main_starts_without_a_name_and_with_the_senders(tmp_path: Path) -> None:
    words = run_start("main", tmp_path, paths.CONFIG_FILES[:4])
    assert words == ["-m", "synapse.app.homeserver", *(w for file in paths.CONFIG_FILES[:4] for w in ("-c", file))]
    assert not (tmp_path / "run/synapse/name.yaml").exists(), "a named main would not be main"


class Cursor:
    """Answers by a word of the question."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.row: Any = None

    def execute(self, sql: str, values: Any = None) -> None:
        self.values = values
        self.row = next(answer for word, answer in self.answers.items() if word in sql)

    def fetchone(self) -> Any:
        return self.row

    def fetchall(self) -> Any:
        return self.row


def test_a_starting_process_waits_for_processes_with_other_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = module("wait")
    monkeypatch.setenv("SHARDS", "aaaa1111")
    busy = Cursor(pg_stat_activity=[("synapse-generic/bbbb2222", 3)])
    assert wait.other_lists(busy) == (
        "processes with other lists of writers to end: synapse-generic/bbbb2222 (3 connections)"
    )
    assert busy.values["writers"] == "aaaa1111"
    assert wait.other_lists(Cursor(pg_stat_activity=[])) is None


def test_main_does_not_wait_for_the_schema_that_it_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = module("wait")
    monkeypatch.setenv("ROLE", "main")
    assert wait.schema(Cursor()) is None


def test_waiting_says_what_for_once_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    wait = module("wait")
    reasons = iter(["Redis", "Redis", "Redis", "PostgreSQL", None])
    wait.wait(lambda: next(reasons), pause=0)
    assert capsys.readouterr().out.splitlines() == ["waiting for Redis", "waiting for PostgreSQL"]


def test_redis_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    wait = module("wait")
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_PORT", str(unused_port))
    assert f"Redis at 127.0.0.1:{unused_port}" in wait.redis()


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Bucket:
    """Object storage with what it was given."""

    def __init__(self, *keys: str) -> None:
        self.keys = set(keys)
        self.asked: list[str] = []

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        self.keys.add(key)


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loaded = module("clean_media")
    monkeypatch.setattr(loaded, "in_bucket", lambda s3, bucket, key, size: key in s3.keys)
    return loaded


def put(store: Path, key: str, *, age: float, size: int = 4096) -> Path:
    path = store / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    when = time.time() - age
    os.utime(path, (when, when))
    return path


def test_old_files_that_the_bucket_has_are_deleted_and_young_ones_stay(clean: ModuleType, tmp_path: Path) -> None:
    store, alive = tmp_path / "store", tmp_path / "alive"
    old = put(store, "local_content/aa/bb/old", age=5000)
    young = put(store, "local_content/aa/bb/young", age=10)
    bucket = Bucket("local_content/aa/bb/old", "local_content/aa/bb/young")
    assert clean.sweep(bucket, "b", store, 3600, alive) == 1
    assert not old.exists()
    assert young.exists()
    assert alive.exists(), "the liveness probe looks at it"


def test_a_file_that_the_bucket_lacks_is_uploaded_before_it_is_deleted(clean: ModuleType, tmp_path: Path) -> None:
    store = tmp_path / "store"
    only = put(store, "local_content/aa/bb/only", age=5000)
    bucket = Bucket()
    clean.sweep(bucket, "b", store, 3600, tmp_path / "alive")
    assert bucket.keys == {"local_content/aa/bb/only"}, "the last copy must not be deleted"
    assert not only.exists()


def test_a_file_stays_when_its_upload_fails(clean: ModuleType, tmp_path: Path) -> None:
    store = tmp_path / "store"
    only = put(store, "local_content/aa/bb/only", age=5000)

    class Broken(Bucket):
        def upload_file(self, path: str, bucket: str, key: str) -> None:
            raise OSError("no route to storage")

    with pytest.raises(OSError, match="no route"):
        clean.sweep(Broken(), "b", store, 3600, tmp_path / "alive")
    assert only.exists(), "it is the only copy"


def test_previews_of_links_are_left_to_synapse(clean: ModuleType, tmp_path: Path) -> None:
    store = tmp_path / "store"
    preview = put(store, "url_cache/2026-11-21/x", age=5000)
    bucket = Bucket()
    assert clean.sweep(bucket, "b", store, 3600, tmp_path / "alive") == 0
    assert preview.exists()
    assert bucket.keys == set()


def test_a_full_store_loses_younger_files_until_it_is_small_enough(
    clean: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    names = {"day": 100_000, "hours": 30_000, "hour": 5_000, "now": 5}
    kept = {name: put(store, name, age=age, size=65_536) for name, age in names.items()}
    bucket = Bucket(*names)
    clean.one_round(bucket, "b", store, [86_400, 21_600, 3_600, 600], 3 * 65_536, tmp_path / "alive")
    assert {name for name, path in kept.items() if path.exists()} == {"hours", "hour", "now"}, "three fit"
    clean.one_round(bucket, "b", store, [86_400, 21_600, 3_600, 600], 65_536, tmp_path / "alive")
    assert {name for name, path in kept.items() if path.exists()} == {"now"}
    clean.one_round(bucket, "b", store, [86_400, 600], 0, tmp_path / "alive")
    assert kept["now"].exists(), "what was written in the last minutes may be on its way to the bucket"
    assert "enlarge synapse.media.cache" in capsys.readouterr().err


def test_the_clean_up_reads_exactly_the_variables_that_its_pod_has() -> None:
    made = plan(SMALL)
    read = {
        word.strip("\"'])(") for word in script("clean_media.py").split('os.environ["') if word.startswith("CLEAN_")
    }
    names = {name.split('"')[0] for name in read}
    assert names == set(clean_environment(made.settings, made.media))


def test_scripts_compile_for_the_images_python() -> None:
    for name in SCRIPTS:
        if name.endswith(".py"):
            compile(script(name), name, "exec")
    assert sys.version_info >= (3, 11), "the official image has 3.13"
