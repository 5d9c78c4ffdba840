"""Config files whose hash is known before anything is created.

A ConfigMap is immutable and carries the hash of its content in its name. A pod template names the ConfigMaps it
mounts, so it changes exactly when one of its files has changed; pods of the old revision keep the old files until
they are gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kube.names import check_name, content_hash


@dataclass(frozen=True, kw_only=True)
class ConfigFiles:
    """A set of rendered files for one ConfigMap. Never a secret: tests plant sentinels to prove it."""

    base: str
    namespace: str
    data: Mapping[str, str]

    @property
    def name(self) -> str:
        """Name of the ConfigMap: `<base>-<sha8>`."""
        return check_name(f"{self.base}-{content_hash(self.data)}")

    def volume(self, volume: str) -> dict[str, object]:
        """A pod volume with these files, world-readable, never writable."""
        return {"name": volume, "configMap": {"name": self.name, "defaultMode": 0o444}}
