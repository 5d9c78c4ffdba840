"""Where the sandbox keeps things: built tools in a cache shared by checkouts, running state of one checkout apart."""

import hashlib
import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SANDBOX = CHECKOUT / "sandbox"
VENV = CHECKOUT / ".venv"


def cache() -> Path:
    """Built tools, CRDs and virtual environments; everything in it can be deleted and is made again."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "synapse-platform"


def state(suffix: str = "") -> Path:
    """Data and records of this checkout's running sandbox. `SANDBOX_STATE` moves it (a second sandbox, tests).

    It is outside the checkout because it holds keys, and because a deleted checkout must not orphan processes.
    """
    given = os.environ.get("SANDBOX_STATE")
    if given:
        return Path(given).expanduser().absolute()
    digest = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:8]
    return cache() / "run" / f"{CHECKOUT.name}-{digest}{suffix}"
