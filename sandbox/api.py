"""A small Kubernetes API client: JSON over HTTPS with the sandbox's own kubeconfig. Threads may share it."""

import base64
import http.client
import json
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

Json = dict[str, Any]
FIELD_MANAGER = "sandbox"


class ApiError(Exception):
    """The API server refused; `code` is the HTTP status, the message is the server's."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


class Api:
    """One cluster. `timeout` in seconds for each request."""

    def __init__(self, kubeconfig: Path, timeout: float = 30) -> None:
        document = json.loads(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        address = urlsplit(cluster["server"])
        self._host, self._port = str(address.hostname), int(address.port or 443)
        self._timeout = timeout
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=authority)
        with (
            tempfile.NamedTemporaryFile() as pair
        ):  # load_cert_chain reads files only; this one is ours and short-lived
            pair.write(base64.b64decode(user["client-certificate-data"]))
            pair.write(base64.b64decode(user["client-key-data"]))
            pair.flush()
            self._tls.load_cert_chain(pair.name)
        self._local = threading.local()

    def request(
        self, method: str, path: str, body: Json | bytes | None = None, content: str = "application/json"
    ) -> Any:
        """One request; the decoded answer. ApiError when refused, OSError when nobody answers."""
        payload = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": content, "Accept": "application/json"}
        for attempt in (1, 2):
            connection = getattr(self._local, "connection", None)
            reused = connection is not None
            if connection is None:
                connection = http.client.HTTPSConnection(
                    self._host, self._port, context=self._tls, timeout=self._timeout
                )
                self._local.connection = connection
            try:
                connection.request(method, path, payload, headers)
                response = connection.getresponse()
                data = response.read()
                break
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._local.connection = None
                # A kept-alive connection may have been closed meanwhile; a fresh one that fails is a real failure.
                if not reused or attempt == 2:
                    raise OSError(f"the API server does not answer: {error}") from error
        if response.status >= 400:
            try:
                message = json.loads(data)["message"]
            except (ValueError, KeyError, TypeError):
                message = data.decode(errors="replace")[:500] or response.reason
            raise ApiError(response.status, message)
        if "json" not in (response.headers.get("Content-Type") or ""):
            return data.decode(errors="replace")
        return json.loads(data)

    def list(self, path: str, **selectors: str) -> list[Json]:
        """All items of a collection; selectors as labelSelector=…, fieldSelector=…"""
        query = f"?{urlencode(selectors)}" if selectors else ""
        items: list[Json] = self.request("GET", path + query)["items"]
        return items

    def get(self, path: str) -> Json | None:
        """One object, or None when it does not exist."""
        try:
            found: Json = self.request("GET", path)
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        return found

    def create(self, path: str, body: Json) -> Json | None:
        """Create in a collection; None when an object of that name exists already."""
        try:
            created: Json = self.request("POST", f"{path}?fieldManager={FIELD_MANAGER}", body)
        except ApiError as error:
            if error.code == 409:
                return None
            raise
        return created

    def merge(self, path: str, body: Json) -> Json | None:
        """JSON merge patch; None when the object is gone."""
        try:
            found: Json = self.request("PATCH", path, body, "application/merge-patch+json")
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        return found

    def apply(self, path: str, body: Json | bytes) -> Json:
        """Server-side apply of JSON or YAML, taking over conflicting fields."""
        query = urlencode({"fieldManager": FIELD_MANAGER, "force": "true"})
        applied: Json = self.request("PATCH", f"{path}?{query}", body, "application/apply-patch+yaml")
        return applied

    def delete(self, path: str, *, now: bool = False) -> None:
        """Delete one object; nothing happens when it is gone. `now`: without a grace period."""
        body: Json = {"propagationPolicy": "Background"} | ({"gracePeriodSeconds": 0} if now else {})
        try:
            self.request("DELETE", path, body)
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def core(kind: str, namespace: str = "", name: str = "") -> str:
    """Path of a core/v1 collection or object; `kind` is the plural name."""
    return _path("/api/v1", kind, namespace, name)


def group(prefix: str, kind: str, namespace: str = "", name: str = "") -> str:
    """Path below /apis; `prefix` is group/version."""
    return _path(f"/apis/{prefix}", kind, namespace, name)


def _path(root: str, kind: str, namespace: str, name: str) -> str:
    middle = f"/namespaces/{quote(namespace)}" if namespace else ""
    return f"{root}{middle}/{kind}" + (f"/{quote(name)}" if name else "")
