"""Plain text for terminals: tables that stay within a width, and numbers as people read them."""

import textwrap
from collections.abc import Sequence

WIDTH = 120
GAP = "  "


def wrap(text: str, *, indent: str = "", width: int = WIDTH) -> str:
    """A paragraph. With an indent, as an item of a list: further lines stand two columns deeper."""
    deeper = f"{indent}  " if indent else ""
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=deeper, break_on_hyphens=False)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, indent: str = "  ", width: int = WIDTH) -> str:
    """Columns aligned by content: numbers to the right, words to the left; the last column wraps.

    A header that starts with `>` aligns its column to the right. Text only, no escape codes.
    """
    right = [name.startswith(">") for name in header]
    lines = [tuple(name.removeprefix(">") for name in header), *(tuple(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    last = len(header) - 1
    room = width - len(indent) - sum(widths[:last]) - len(GAP) * last
    if not right[last]:
        widths[last] = min(widths[last], max(room, 20))
    result = []
    for line in lines:
        cells = [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True)]
        wrapped = textwrap.wrap(line[last], widths[last], break_on_hyphens=False) if not right[last] else [cells[last]]
        head = indent + GAP.join(cells[:last]) + (GAP if last else "")
        blank = " " * len(head)
        result += [(head if n == 0 else blank) + part for n, part in enumerate(wrapped or [""])]
    rule = indent + GAP.join("-" * w for w in widths)
    return "\n".join(line.rstrip() for line in (result[0], rule, *result[1:]))


def count(number: int, singular: str, plural: str | None = None) -> str:
    """`1 node`, `1,208 nodes`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def percent(share: float) -> str:
    """`0.734` -> `73 %`; `inf` where there is demand and no room."""
    return "none there" if share == float("inf") else f"{100 * share:.0f} %"
