"""Secrets are declared as rules; a value exists only as a Pulumi Output, and Kubernetes objects refer to it by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union


@dataclass(frozen=True)
class SecretRef:
    """Where a value lies: Secret name and key. Plain data, safe to print and to put into any manifest."""

    name: str
    key: str

    def env(self) -> dict[str, Any]:
        """`valueFrom` of an environment variable."""
        return {"secretKeyRef": {"name": self.name, "key": self.key}}


@dataclass(frozen=True, kw_only=True)
class Random:
    """Letters and digits from the operating system's generator. 48 characters carry 285 bits.

    `id` is the identity: two objects that name the same id hold the same value.
    `rotation` changes the value when it is changed in the stack file (`secrets.rotation`).
    """

    id: str
    length: int = 48
    rotation: str = ""


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """An ed25519 key in Synapse's own file format (`ed25519 a_xxxxxx <unpadded base64 of a 32-byte seed>`).

    Never rotated by accident: other servers and clients know the key; it is guarded.
    """

    id: str
    version: str = "a_platform"


@dataclass(frozen=True, kw_only=True)
class TlsCa:
    """Certificate of a private certificate authority made for the platform's inside. ECDSA P-256."""

    id: str
    common_name: str
    years: int = 10


@dataclass(frozen=True, kw_only=True)
class TlsCert:
    """Server certificate signed by a TlsCa. Renewed by the first `pulumi up` within `renew_days` of its end."""

    id: str
    ca: TlsCa
    dns_names: tuple[str, ...]
    years: int = 2
    renew_days: int = 180


@dataclass(frozen=True, kw_only=True)
class TlsKey:
    """Private key (PKCS#8 PEM) that belongs to a TlsCert or a TlsCa."""

    of: TlsCert | TlsCa


@dataclass(frozen=True, kw_only=True)
class FromConfig:
    """A secret that only the operator has; `path` is its key path below `matrix:stack`."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Join:
    """Text with secrets in it: plain parts and rules, concatenated (a credentials file, a connection URI)."""

    parts: tuple[Union[str, "Rule"], ...]


Rule = Random | SigningKey | TlsCa | TlsCert | TlsKey | FromConfig | Join


@dataclass(frozen=True, kw_only=True)
class SecretObject:
    """One Kubernetes Secret: a stable name, and a rule or a plain text (a user name) for every key.

    `reload_on_change` is for operators that watch the Secret (label `cnpg.io/reload`).
    """

    name: str
    namespace: str
    entries: Mapping[str, Rule | str]
    type: str = "Opaque"
    labels: Mapping[str, str] = field(default_factory=dict)

    def ref(self, key: str) -> SecretRef:
        """Reference to one key; KeyError when the object does not have it."""
        if key not in self.entries:
            raise KeyError(f"Secret {self.name} has no key {key!r}")
        return SecretRef(self.name, key)
