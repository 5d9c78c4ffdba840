"""Every image of the platform comes out of one lock file, and one setting rewrites where it is pulled from."""

from collections.abc import Mapping
from dataclasses import dataclass


class UnknownImageError(KeyError):
    """A plan asked for an image that the lock file does not have."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """One locked image. `digest` may be empty until a site pins it (`sha256:…`)."""

    repository: str
    tag: str
    digest: str = ""
    used_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Images:
    """Image references for this stack.

    `registry` (for example `registry.intern:5000/matrix`) replaces the registry host of every image: the path
    below it is kept, so that a mirror made from `python -m stack images` fits without renaming.
    """

    locked: Mapping[str, Image]
    registry: str = ""
    overrides: Mapping[str, str] = ()  # type: ignore[assignment]  # name -> full reference, wins over everything

    def ref(self, name: str) -> str:
        """Full reference of the image called `name` in the lock. UnknownImageError when it is not there."""
        if name in dict(self.overrides):
            return dict(self.overrides)[name]
        if name not in self.locked:
            raise UnknownImageError(f"{name!r} is not in apps/images.lock (it has: {', '.join(sorted(self.locked))})")
        image = self.locked[name]
        repository = image.repository
        if self.registry:
            repository = f"{self.registry.rstrip('/')}/{repository.split('/', 1)[1]}"
        reference = f"{repository}:{image.tag}"
        return f"{reference}@{image.digest}" if image.digest else reference
