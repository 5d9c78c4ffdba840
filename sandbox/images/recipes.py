"""What each image holds. Pure data: what a recipe says decides what its layer is called in the cache."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

SUITE = "trixie"
PAUSE = "pause"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One image. Paths are absolute in the image; `programs` maps them to names of `sandbox.toolchain`.

    `packages`: Debian's. `script`: shell lines that run in the image at the end. `command`: for manifests without one.
    """

    packages: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)
    script: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    def key(self, base: str, programs: Mapping[str, str]) -> str:
        """Name of the layer's content: the recipe, the base under it, and the identity of each program."""
        described = {**asdict(self), "base": base, "identities": dict(programs)}
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:12]


# By name in apps/images.lock; PAUSE is the container that holds each pod's network.
RECIPES: dict[str, Recipe] = {
    PAUSE: Recipe(command=("/bin/sleep", "infinity")),
    # mawk, getent and timeout, which our scripts use, are part of the base.
    "valkey": Recipe(packages=("valkey-server", "valkey-sentinel", "valkey-tools")),
    "haproxy": Recipe(packages=("haproxy",)),
}
