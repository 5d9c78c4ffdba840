"""What an operator may set about object storage."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from kube.quantity import GI, Size, parse_bytes
from kube.settings import ResourceSettings, SecretLeaf, Settings

SERVERS = 4
"""Servers of one pool. A pool of four survives the loss of any one of them without a pause."""
DRIVES = 2
"""Drives of one server. Eight drives in a pool make one erasure set."""

UserName = Literal[
    "synapse-media",
    "li-media-reader",
    "postgres-backups",
    "postgres-li-backups",
    "loki",
    "media-backup",
    "media-backup-reader",
]
"""One user for each consumer, each with the rights to one bucket and no other."""

_URL = re.compile(r"^https?://([a-z0-9.-]+)(:[0-9]{1,5})?$")


class ExternalUser(Settings):
    """One consumer's key at the external store. Its bucket must exist; its rights are the store's business."""

    bucket: str = Field(
        min_length=3,
        max_length=63,
        pattern=r"^[a-z0-9][a-z0-9.-]+[a-z0-9]$",
        description="Bucket that this consumer uses. Create it before the first up.",
    )
    access_key: str = Field(min_length=1, description="Access key id.")
    secret_key: SecretLeaf = Field(description="Secret key: `pulumi config set --secret --path …`.")


class ExternalSettings(Settings):
    """An S3 service that exists already (Ceph RGW, an appliance, a cloud)."""

    endpoint: str = Field(description="URL without a path, for example https://s3.intern:9000. https unless in a lab.")
    region: str = Field(default="us-east-1", min_length=1, description="Region name that requests are signed for.")
    path_style: bool = Field(
        default=True, description="Bucket in the path, not in the host name. True for nearly everything but AWS."
    )
    ca: str | None = Field(
        default=None, description="Certificate (PEM) of the authority that signed the endpoint; unset: a public one."
    )
    cidrs: tuple[str, ...] = Field(
        default=("0.0.0.0/0",), min_length=1, description="Addresses of the endpoint: pods may connect to these only."
    )
    users: dict[UserName, ExternalUser] = Field(description="Bucket and key of every consumer.")

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        if not _URL.match(value):
            raise ValueError("must be a URL without path such as https://s3.intern:9000")
        return value

    @field_validator("ca")
    @classmethod
    def _pem(cls, value: str | None) -> str | None:
        if value is not None and "-----BEGIN CERTIFICATE-----" not in value:
            raise ValueError("must be a certificate in PEM (-----BEGIN CERTIFICATE-----)")
        return value


class MinioSettings(Settings):
    """Object storage for media, database backups and logs."""

    backend: Literal["internal", "external"] = Field(
        default="internal", description="internal: servers of ours on the storage nodes. external: see `external`."
    )
    pools: int | None = Field(
        default=None,
        ge=1,
        le=8,
        description="Pools of four servers with two drives each. From the CCU band when unset (1, 2 or 3). Adding one "
        "is how storage grows: every server restarts with the longer list, one after the other. "
        "Removing one is refused while data is protected: decommission it first.",
    )
    parity: int = Field(
        default=4,
        ge=2,
        le=4,
        description="Drives of a pool's eight that may fail before data is unreadable (EC:n). 4 halves the usable "
        "space. More than 4 is impossible: parity never exceeds the data. Applies to new objects.",
    )
    drive_size: Size | None = Field(
        default=None,
        description="Size of one drive's volume (two for each server). From the CCU band when unset. Kubernetes cannot "
        "change the volumes of an existing pool through a StatefulSet: a new size applies to pools added later.",
    )
    resources: ResourceSettings | None = Field(
        default=None,
        description="Size of one server. From the CCU band when unset. More memory is more parallel uploads.",
    )
    region: str = Field(default="us-east-1", min_length=1, description="Region name of the internal store.")
    command: tuple[str, ...] = Field(
        default=(),
        description="Program of the server image. Empty: `minio` for images whose name has it, else `silo`.",
    )
    client_command: tuple[str, ...] = Field(
        default=("mc",), min_length=1, description="Client program in the same image that makes buckets and users."
    )
    external: ExternalSettings | None = Field(default=None, description="The existing S3, when backend is external.")

    @field_validator("drive_size")
    @classmethod
    def _large_enough(cls, value: str | None) -> str | None:
        # The server refuses uploads when less than ten per cent or so is free; below this it is never usable.
        if value is not None and parse_bytes(value) < 10 * GI:
            raise ValueError("must be at least 10Gi: smaller drives are full before the first backup is in")
        return value

    @model_validator(mode="after")
    def _one_backend(self) -> "MinioSettings":
        if self.backend == "external" and self.external is None:
            raise ValueError("backend is external, but `external` (endpoint, users) is missing")
        if self.backend == "internal" and self.external is not None:
            raise ValueError("`external` is given, but backend is internal: set backend: external, or remove it")
        return self
