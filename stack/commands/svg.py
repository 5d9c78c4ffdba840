"""A little SVG: boxes, texts, arrows. Only what the architecture picture needs, and no dependency."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
INK = "#1f2937"
MUTED = "#6b7280"
LINE = "#475569"
PAPER = "#ffffff"
CHARACTER = 0.55
"""Mean width of a character, in font sizes: a little more than Arial's, so that text fits in any of the fonts."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle in pixels."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        return self.x + self.w

    @property
    def bottom(self) -> float:
        return self.y + self.h

    @property
    def middle(self) -> float:
        return self.y + self.h / 2


def width(words: str, size: float) -> float:
    """Roughly how wide a text is."""
    return len(words) * size * CHARACTER


def number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def text(
    x: float, y: float, words: str, *, size: float = 13, weight: int = 400, color: str = INK, anchor: str = "start"
) -> str:
    """One line; `y` is the baseline."""
    return (
        f'<text x="{number(x)}" y="{number(y)}" font-size="{number(size)}" font-weight="{weight}" fill="{color}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def rect(box: Box, *, fill: str, stroke: str = "none", radius: float = 8, dashed: bool = False) -> str:
    """A rounded rectangle."""
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<rect x="{number(box.x)}" y="{number(box.y)}" width="{number(box.w)}" height="{number(box.h)}" '
        f'rx="{number(radius)}" fill="{fill}" stroke="{stroke}"{dash}/>'
    )


def arrow(points: Sequence[tuple[float, float]], *, dashed: bool = False) -> str:
    """A line through `points` with a head at its end."""
    path = " L ".join(f"{number(x)} {number(y)}" for x, y in points)
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<path d="M {path}" fill="none" stroke="{LINE}" stroke-width="1.6" marker-end="url(#head)"{dash}/>'


def document(w: float, h: float, *, title: str, description: str, parts: Iterable[str]) -> str:
    """The file. It has a background of its own, to be readable on dark pages."""
    head = (
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto-start-reverse"><path d="M 0 0.5 L 10 5 L 0 9.5 z" fill="{LINE}"/></marker></defs>'
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(w)} {number(h)}" width="{number(w)}" '
        f'height="{number(h)}" role="img" font-family="{FONT}">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(description)}</desc>",
        head,
        rect(Box(x=0.5, y=0.5, w=w - 1, h=h - 1), fill=PAPER, stroke="#e5e7eb", radius=12),
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
