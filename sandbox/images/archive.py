"""Writes images as one OCI archive: layers once, however many images lie over them."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sandbox.images.layers import Layer

_TYPES = "application/vnd.oci.image"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """`reference`: the name that manifests use, with tag."""

    reference: str
    layers: tuple[Layer, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()


def _encode(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _describe(kind: str, data: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"mediaType": f"{_TYPES}.{kind}", "digest": digest, "size": len(data)}


def config(image: Image) -> bytes:
    """The image's configuration: what runs where nobody says otherwise, and which layers it is."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {"PATH": path} | dict(image.environment)
    return _encode(
        {
            "os": "linux",
            "architecture": _ARCHITECTURES[platform.machine()],
            "config": {"Env": [f"{k}={v}" for k, v in environment.items()], "Cmd": list(image.command)},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in image.layers]},
        }
    )


def manifest(image: Image) -> bytes:
    """The image's manifest; its digest is the image's identity."""
    layers = [
        {"mediaType": f"{_TYPES}.layer.v1.tar", "digest": layer.digest, "size": layer.size} for layer in image.layers
    ]
    described = _describe("config.v1+json", config(image))
    return _encode(
        {"schemaVersion": 2, "mediaType": f"{_TYPES}.manifest.v1+json", "config": described, "layers": layers}
    )


def digest(image: Image) -> str:
    return str(_describe("", manifest(image))["digest"])


def write(images: Iterable[Image], output: IO[bytes]) -> None:
    """Write the archive to a stream."""
    wanted = list(images)
    blobs: dict[str, bytes | Path] = {}
    entries = []
    for image in wanted:
        for data in (config(image), manifest(image)):
            blobs[hashlib.sha256(data).hexdigest()] = data
        for layer in image.layers:
            blobs[layer.digest.removeprefix("sha256:")] = layer.path
        names = {"io.containerd.image.name": image.reference}
        entries.append(_describe("manifest.v1+json", manifest(image)) | {"annotations": names})
    index = {"schemaVersion": 2, "mediaType": f"{_TYPES}.index.v1+json", "manifests": entries}
    with tarfile.open(fileobj=output, mode="w|") as archive:
        _add(archive, "oci-layout", _encode({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", _encode(index))
        for name, content in blobs.items():
            if isinstance(content, bytes):
                _add(archive, f"blobs/sha256/{name}", content)
            else:
                archive.add(content, f"blobs/sha256/{name}", recursive=False)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
