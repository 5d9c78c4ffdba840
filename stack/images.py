"""Reads apps/images.lock, the one list of every image of the platform."""

from pathlib import Path

import yaml

from kube.images import Image, Images
from stack.settings import ImageSettings

LOCK = Path(__file__).resolve().parent.parent / "apps" / "images.lock"


def read_lock(path: Path = LOCK) -> dict[str, Image]:
    """Name -> locked image."""
    entries = yaml.safe_load(path.read_text())
    return {name: Image(**entry) for name, entry in entries.items()}


def images(settings: ImageSettings) -> Images:
    """Images as this stack pulls them."""
    return Images(locked=read_lock(), registry=settings.registry, overrides=dict(settings.overrides))
