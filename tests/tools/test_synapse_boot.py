"""A whole homeserver of real Synapse processes, from the files that we render: main and every type of worker.

Each request goes to the process that the router would choose. PostgreSQL, Valkey and the S3 storage provider are real
as well; only the S3 behind it is the test's.
"""

import hashlib
import hmac
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml

from components.synapse import paths
from components.synapse.files import script
from components.synapse.instances import writer_shards
from components.synapse.process_types import ProcessType
from sandbox.packages import python_environment
from tests.synapse.builders import SMALL, plan
from tests.tools.servers import postgres, storage, valkey, wait_until
from tests.tools.synapse_boot import Cluster, make_database
from tests.tools.synapse_files import DUMMY, in_root

pytestmark = pytest.mark.tools

MAIN, GENERIC, SYNC, MEDIA = (
    "synapse-main-0",
    "synapse-generic-0",
    "synapse-synchrotron-0",
    "synapse-media-repository-0",
)
V3 = "/_matrix/client/v3"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = plan(SMALL)
    with postgres() as database, valkey(DUMMY) as redis_port, storage() as s3:
        make_database(database)
        built = Cluster(made, database, redis_port, s3, tmp_path_factory.mktemp("boot"))
        try:
            waiting = built.wait(ProcessType.GENERIC)
            assert waiting.stdout
            assert waiting.stdout.readline() == "waiting for main to create the database schema\n"
            ready = built.wait(ProcessType.MAIN)
            assert ready.wait(60) == 0, "main waits for nothing but PostgreSQL and Redis"
            built.start(MAIN)
            assert waiting.wait(60) == 0, "the schema is there: workers may start"
            built.start(*(name for name in built.processes if name != MAIN))
            yield built
        finally:
            built.stop()


def register(cluster: Cluster, name: str) -> str:
    """A user by the shared secret; the access token."""
    nonce = cluster.call(MAIN, "GET", "/_synapse/admin/v1/register")["nonce"]
    parts = [nonce, name, "a-password", "notadmin"]
    mac = hmac.new(DUMMY.encode(), "\x00".join(parts).encode(), hashlib.sha1).hexdigest()
    body = {"nonce": nonce, "username": name, "password": "a-password", "admin": False, "mac": mac}
    return str(cluster.call(MAIN, "POST", "/_synapse/admin/v1/register", body)["access_token"])


@pytest.fixture(scope="module")
def users(cluster: Cluster) -> dict[str, str]:
    return {name: register(cluster, name) for name in ("alice", "bob")}


@pytest.fixture(scope="module")
def rooms(cluster: Cluster, users: dict[str, str]) -> list[str]:
    """Rooms of alice, with bob in them: enough for each persister to get one of them."""
    made = []
    for number in range(8):
        body = {"preset": "private_chat", "name": f"room {number}", "invite": ["@bob:chat.example.org"]}
        room = cluster.call(GENERIC, "POST", f"{V3}/createRoom", body, token=users["alice"])["room_id"]
        cluster.call(GENERIC, "POST", f"{V3}/rooms/{quote(room)}/join", {}, token=users["bob"])
        made.append(room)
    return made


def sync(cluster: Cluster, token: str, since: str = "", timeout: int = 0) -> Any:
    query = f"timeout={timeout}" + (f"&since={quote(since)}" if since else "")
    return cluster.call(SYNC, "GET", f"{V3}/sync?{query}", token=token)


def test_every_process_is_healthy_and_tells_its_metrics(cluster: Cluster) -> None:
    for running in cluster.processes.values():
        assert running.healthy()
        with urlopen(running.url("/metrics", 9090), timeout=10) as answer:
            assert b"synapse_build_info" in answer.read(), running.name


def test_no_process_complains_of_its_configuration(cluster: Cluster) -> None:
    for running in cluster.processes.values():
        lines = [line for line in running.log.read_text().splitlines() if re.search(r" - (ERROR|CRITICAL) - ", line)]
        assert not lines, f"{running.name}: {lines[:3]}"


def test_messages_are_persisted_by_both_persisters_and_arrive(
    cluster: Cluster, users: dict[str, str], rooms: list[str]
) -> None:
    since = sync(cluster, users["bob"])["next_batch"]
    for number, room in enumerate(rooms):
        path = f"{V3}/rooms/{quote(room)}/send/m.room.message/txn{number}"
        cluster.call(GENERIC, "PUT", path, {"msgtype": "m.text", "body": f"hello {number}"}, token=users["alice"])
    got: set[str] = set()
    end = time.monotonic() + 20
    while len(got) < len(rooms) and time.monotonic() < end:
        answer = sync(cluster, users["bob"], since, timeout=2000)
        since = answer["next_batch"]
        for room in answer["rooms"].get("join", {}).values():
            got |= {e["content"].get("body", "") for e in room["timeline"]["events"]}
    assert {f"hello {n}" for n in range(len(rooms))} <= got, "a message that was acknowledged did not arrive"
    writers = cluster.database.ask("SELECT DISTINCT instance_name FROM events ORDER BY 1", "synapse").split()
    assert writers == ["synapse-event-persister-0", "synapse-event-persister-1"], "rooms are divided among persisters"


@pytest.mark.parametrize(
    ("process", "method", "path", "body"),
    [
        ("synapse-typing-0", "PUT", "/rooms/{room}/typing/@alice:chat.example.org", {"typing": True, "timeout": 30000}),
        (
            "synapse-to-device-0",
            "PUT",
            "/sendToDevice/m.x/1",
            {"messages": {"@bob:chat.example.org": {"*": {"a": "b"}}}},
        ),
        ("synapse-account-data-0", "PUT", "/user/@alice:chat.example.org/account_data/org.example", {"a": 1}),
        ("synapse-presence-0", "PUT", "/presence/@alice:chat.example.org/status", {"presence": "online"}),
        (
            "synapse-push-rules-0",
            "PUT",
            "/pushrules/global/content/word",
            {"pattern": "word", "actions": ["notify"]},
        ),
        ("synapse-receipts-0", "POST", "/rooms/{room}/receipt/m.read/{event}", {}),
        ("synapse-device-lists-0", "POST", "/keys/upload", {}),
        ("synapse-user-directory-0", "POST", "/user_directory/search", {"search_term": "bob"}),
        ("synapse-account-data-0", "PUT", "/user/@alice:chat.example.org/rooms/{room}/tags/m.favourite", {"order": 1}),
    ],
)
def test_each_writer_takes_what_the_router_sends_it(
    cluster: Cluster, users: dict[str, str], rooms: list[str], process: str, method: str, path: str, body: Any
) -> None:
    room = rooms[0]
    if "{event}" in path:
        messages = cluster.call(
            GENERIC, "GET", f"{V3}/rooms/{quote(room)}/messages?dir=b&limit=1", token=users["alice"]
        )
        path = path.replace("{event}", quote(messages["chunk"][0]["event_id"]))
    full = V3 + path.replace("{room}", quote(room))
    cluster.call(process, method, full, body, token=users["alice"])


def test_what_one_writer_wrote_is_seen_by_the_synchrotron(
    cluster: Cluster, users: dict[str, str], rooms: list[str]
) -> None:
    since = sync(cluster, users["bob"])["next_batch"]
    typing = f"{V3}/rooms/{quote(rooms[1])}/typing/@alice:chat.example.org"
    cluster.call("synapse-typing-0", "PUT", typing, {"typing": True, "timeout": 30000}, token=users["alice"])
    end = time.monotonic() + 20
    while time.monotonic() < end:
        answer = sync(cluster, users["bob"], since, timeout=3000)
        since = answer["next_batch"]
        events = answer["rooms"].get("join", {}).get(rooms[1], {}).get("ephemeral", {}).get("events", [])
        if any("@alice:chat.example.org" in e["content"].get("user_ids", []) for e in events):
            return
    raise AssertionError("typing went from its writer through Redis to nobody")


def test_sliding_sync_answers(cluster: Cluster, users: dict[str, str], rooms: list[str]) -> None:
    path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
    lists = {"all": {"ranges": [[0, 20]], "required_state": [], "timeline_limit": 1}}
    answer = cluster.call("synapse-sliding-sync-0", "POST", path, {"lists": lists}, token=users["bob"])
    assert answer["lists"]["all"]["count"] == len(rooms)


def test_an_openid_token_can_be_checked_on_main_without_federation(cluster: Cluster, users: dict[str, str]) -> None:
    path = f"{V3}/user/@alice:chat.example.org/openid/request_token"
    token = cluster.call(MAIN, "POST", path, {}, token=users["alice"])["access_token"]
    info = cluster.call(MAIN, "GET", f"/_matrix/federation/v1/openid/userinfo?access_token={quote(token)}")
    assert info == {"sub": "@alice:chat.example.org"}, "calls and widgets ask who somebody is"
    status, _ = cluster.call(MAIN, "GET", "/_matrix/federation/v1/version", raw=True)
    assert status == 404, "and nothing else of federation is there"


def test_nobody_can_register_without_the_secret(cluster: Cluster) -> None:
    body = {"username": "mallory", "password": "a-password", "auth": {"type": "m.login.dummy"}}
    status, content = cluster.call(MAIN, "POST", f"{V3}/register", body, raw=True)
    assert status == 403, content


def _upload(cluster: Cluster, token: str, content: bytes) -> tuple[int, bytes]:
    answer: tuple[int, bytes] = cluster.call(MEDIA, "POST", "/_matrix/media/v3/upload", content, token=token, raw=True)
    return answer


def _download(cluster: Cluster, token: str, uri: str) -> tuple[int, bytes]:
    path = f"/_matrix/client/v1/media/download/{uri.removeprefix('mxc://')}"
    answer: tuple[int, bytes] = cluster.call(MEDIA, "GET", path, token=token, raw=True)
    return answer


def _store(cluster: Cluster) -> Path:
    return in_root(cluster.processes[MEDIA].root, paths.MEDIA_STORE_DIR)


def _local_files(cluster: Cluster) -> list[Path]:
    return [path for path in _store(cluster).rglob("*") if path.is_file()]


def test_an_upload_is_in_object_storage_before_it_is_acknowledged(cluster: Cluster, users: dict[str, str]) -> None:
    content = os.urandom(200_000)
    status, answer = _upload(cluster, users["alice"], content)
    assert status == 200, answer
    assert content in cluster.storage.objects.values(), "losing the media pod now would lose the file"
    assert all(key.startswith("synapse-media/") for key in cluster.storage.objects), "one bucket, ours"


def test_a_file_comes_back_from_object_storage_after_the_clean_up(cluster: Cluster, users: dict[str, str]) -> None:
    content = os.urandom(100_000)
    uri = json.loads(_upload(cluster, users["alice"], content)[1])["content_uri"]
    old = time.time() - 100_000
    for path in _local_files(cluster):
        os.utime(path, (old, old))
    alive = cluster.directory / "alive"
    environment = {
        **cluster.environment(cluster.processes[MEDIA]),
        "CLEAN_STORE": str(_store(cluster)),
        "CLEAN_BUCKET": "synapse-media",
        "CLEAN_ENDPOINT": cluster.storage.endpoint,
        "CLEAN_ALIVE": str(alive),
        "CLEAN_AGES": "86400",
        "CLEAN_ABOVE_BYTES": "0",
        "CLEAN_EVERY": "1",
    }
    before = dict(cluster.storage.objects)
    python = python_environment("requirements-synapse.lock")
    cleaner = subprocess.Popen([str(python), "-c", script("clean_media.py")], env=environment)
    try:
        wait_until(lambda: not _local_files(cluster), "the clean-up", 30)
    finally:
        cleaner.terminate()
        cleaner.wait()
    assert cluster.storage.objects == before, "everything was in the bucket already; nothing had to be uploaded"
    assert _download(cluster, users["bob"], uri) == (200, content), "the bucket's copy is the file"


def test_the_s3_provider_of_today_loses_uploads_without_a_local_store(cluster: Cluster, users: dict[str, str]) -> None:
    """Why there is one media process. When this fails, the provider can do it: lift MEDIA_REPOSITORY_MAXIMUM."""
    file = in_root(cluster.processes[MEDIA].root, f"{paths.PROCESS_DIR}/process.yaml")
    rendered = file.read_text()
    cluster.stop(MEDIA)
    try:
        file.write_text(yaml.safe_dump({**yaml.safe_load(rendered), "enable_local_media_storage": False}))
        cluster.start(MEDIA)
        content = os.urandom(50_000)
        status, answer = _upload(cluster, users["alice"], content)
        kept = content in cluster.storage.objects.values()
        assert not (status == 200 and kept), "the storage provider works without a local store"
        assert not kept, f"object storage has a file that the client was told ({status}) is not there: {answer!r}"
    finally:
        cluster.stop(MEDIA)
        file.write_text(rendered)
        cluster.start(MEDIA)


def test_a_process_with_other_lists_waits_until_the_last_old_one_has_gone(cluster: Cluster) -> None:
    """Last: it stops everything."""
    same = cluster.wait(ProcessType.GENERIC)
    assert same.wait(60) == 0, "with the same lists a pod starts beside the others at any time"
    other = cluster.wait(ProcessType.GENERIC, SHARDS="00000000")
    assert other.stdout
    line = other.stdout.readline()
    shards = writer_shards(cluster.plan.processes)
    assert line.startswith("waiting for processes with other lists of writers to end: "), line
    assert f"synapse-event-persister/{shards}" in line, "a persister with the old list still writes"
    cluster.stop(*(name for name in cluster.processes if name != MAIN))
    time.sleep(3)
    assert other.poll() is None, "main is still there, with the old lists"
    cluster.stop(MAIN)
    assert other.wait(60) == 0, "nobody is left: a process with the new lists may start"
