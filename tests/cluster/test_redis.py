"""Redis with Sentinel as the platform renders it, on real kubelets: the primary dies, and clients go on."""

import base64
import socket
import time
from collections.abc import Iterator

import pytest

from sandbox.api import Api, Json, core
from sandbox.cluster import Cluster
from sandbox.node import images
from stack.images import read_lock
from tests.cluster import objects

_NAMESPACE = "matrix"
_SERVERS = "app.kubernetes.io/name=redis-synapse"
_AIM_SECONDS = 10.0


@pytest.fixture
def redis(application_nodes: Cluster) -> Iterator[Api]:
    api = application_nodes.api
    lock = read_lock()
    images.bring(
        application_nodes.state, {name: f"{lock[name].repository}:{lock[name].tag}" for name in ("valkey", "haproxy")}
    )
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE, "labels": labels}}
    api.apply(core("namespaces", name=_NAMESPACE), namespace)
    objects.wait(
        api,
        "the namespace has its service account",
        lambda: api.get(core("serviceaccounts", _NAMESPACE, "default")) is not None,
        20,
    )
    objects.deploy(api, objects.rendered("small", "redis-synapse"))
    objects.wait(api, "Redis and its proxies are ready", lambda: _all_ready(api), 120)
    yield api
    api.delete(core("namespaces", name=_NAMESPACE))


def _all_ready(api: Api) -> bool:
    found = objects.pods(api, _NAMESPACE, "app.kubernetes.io/name in (redis-synapse, redis-synapse-proxy)")
    return len(found) == 5 and all(objects.is_ready(pod) for pod in found)


class _Client:
    """One connection to a Redis server, spoken by hand: what it does not answer is an OSError."""

    def __init__(self, address: str, port: int, password: str) -> None:
        self._socket = socket.create_connection((address, port), timeout=1)
        self._file = self._socket.makefile("rb")
        assert self.ask("AUTH", password) == b"+OK"

    def ask(self, *words: str) -> bytes:
        self._socket.sendall(f"*{len(words)}\r\n".encode() + b"".join(f"${len(w)}\r\n{w}\r\n".encode() for w in words))
        return self._line()

    def _line(self) -> bytes:
        line: bytes = self._file.readline().strip()
        if not line:
            raise ConnectionError("closed")
        return line

    def primary(self) -> str:
        """Host that a Sentinel calls the primary."""
        self.ask("SENTINEL", "get-master-addr-by-name", "synapse")
        self._line()
        return self._line().decode()

    def close(self) -> None:
        self._socket.close()


def _password(api: Api) -> str:
    secret = api.get(core("secrets", _NAMESPACE, "redis-synapse"))
    assert secret is not None
    return base64.b64decode(secret["data"]["password"]).decode()


def _primary_pod(api: Api, password: str) -> Json:
    pods = objects.pods(api, _NAMESPACE, _SERVERS)
    sentinel = _Client(pods[0]["status"]["podIP"], 26379, password)
    host = sentinel.primary()
    sentinel.close()
    return next(pod for pod in pods if host.startswith(pod["metadata"]["name"] + "."))


def _write(address: str, password: str) -> bool:
    try:
        client = _Client(address, 6379, password)
        try:
            return client.ask("SET", "drill", "1") == b"+OK"
        finally:
            client.close()
    except (OSError, AssertionError):
        return False


def test_clients_write_again_within_seconds_after_the_primary_died(redis: Api) -> None:
    password = _password(redis)
    service = redis.get(core("services", _NAMESPACE, "redis-synapse"))
    assert service is not None
    address = service["spec"]["clusterIP"]
    seconds = []
    for _ in range(3):
        objects.wait(redis, "writes go through", lambda: _write(address, password), 60)
        victim = _primary_pod(redis, password)
        redis.delete(core("pods", _NAMESPACE, victim["metadata"]["name"]), now=True)
        began = last_failure = time.monotonic()
        while time.monotonic() - began < 20:
            if not _write(address, password):
                last_failure = time.monotonic()
            time.sleep(0.1)
        seconds.append(last_failure - began)
        assert _primary_pod(redis, password)["metadata"]["uid"] != victim["metadata"]["uid"]
        objects.wait(redis, "all five pods are ready again", lambda: _all_ready(redis), 120)
    print(f"\nRedis primary killed: writes again after {', '.join(f'{s:.1f}' for s in seconds)} s")
    assert all(s > 0 for s in seconds), "a kill that nobody notices killed nothing"
    assert max(seconds) <= _AIM_SECONDS
