"""What each image holds. Pure data: what a recipe says decides what its layer is called in the cache."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

SUITE = "trixie"
VENV = "/opt/python"
PAUSE = "pause"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One image. Paths are absolute in the image; `programs` maps them to names of `sandbox.toolchain`.

    `packages`: Debian's. `python`: lock file of the repository whose packages make a virtual environment at VENV;
    `python_build`: Debian packages that only their compilation needs. `script`: shell lines that run in the image at
    the end. `command`: for manifests without one.
    """

    packages: tuple[str, ...] = ()
    python: str = ""
    python_build: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)
    script: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    def key(self, base: str, identities: Mapping[str, str]) -> str:
        """Name of the layer's content: the recipe, the base under it, the identities of its programs and lock file."""
        described = {**asdict(self), "base": base, "identities": dict(identities)}
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:12]


# By name in apps/images.lock; PAUSE is the container that holds each pod's network.
RECIPES: dict[str, Recipe] = {
    PAUSE: Recipe(command=("/bin/sleep", "infinity")),
    # mawk, getent and timeout, which our scripts use, are part of the base.
    "valkey": Recipe(packages=("valkey-server", "valkey-sentinel", "valkey-tools")),
    "haproxy": Recipe(packages=("haproxy",)),
    "postgres": Recipe(
        packages=("postgresql-17", "postgresql-17-pgaudit"),
        # CloudNativePG runs PostgreSQL as 26:26, and initdb wants that number to have a name. Debian calls group 26
        # tape, which is no harm.
        script=("usermod --uid 26 postgres", "groupmod --non-unique --gid 26 postgres"),
        environment={"PATH": "/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin:/bin"},
    ),
    "cloudnative-pg": Recipe(
        programs={"/manager": "cloudnative-pg"},
        script=("mkdir /operator", 'ln -s ../manager "/operator/manager_$(dpkg --print-architecture)"'),
        command=("/manager",),
    ),
    # Under the name of the maintained fork, whose published image calls its server like this.
    "minio": Recipe(programs={"/usr/bin/silo": "minio", "/usr/bin/mc": "mc"}),
    "synapse": Recipe(
        packages=("python3", "libpq5", "libjemalloc2"),
        python="requirements-synapse.lock",
        python_build=("python3-venv", "python3-dev", "gcc", "libpq-dev"),
        environment={"PATH": f"{VENV}/bin:/usr/local/bin:/usr/bin:/bin"},
    ),
}
