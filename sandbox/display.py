"""Lines that tell a person how far it is."""

import sys
import time

from sandbox.events import Events, short

_QUIET_SECONDS = 15.0  # between two lines when nobody watches (CI logs)
_WIDTH = 110


class Progress:
    """Progress of one engine run: a changing line on a terminal, a line now and then in a log."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._last = time.monotonic()
        self._terminal = sys.stdout.isatty()

    def __call__(self, events: Events) -> None:
        now = time.monotonic()
        if not self._terminal and now - self._last < _QUIET_SECONDS:
            return
        self._last = now
        waiting = sorted(events.active, key=lambda urn: events.active[urn])
        names = [short(urn) for urn in waiting if ":pulumi:Stack" not in urn and not short(urn).startswith("matrix")]
        done = sum(1 for word, _, _ in events.steps if word == "done")
        text = f"{self._what}: {now - self._began:4.0f} s, {done} resources done"
        if names:
            text += f", waiting for {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        if self._terminal:
            sys.stdout.write("\r" + text[:_WIDTH].ljust(_WIDTH))
        else:
            sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def close(self) -> None:
        if self._terminal:
            sys.stdout.write("\r" + " " * _WIDTH + "\r")
            sys.stdout.flush()


def table(rows: list[tuple[str, ...]], indent: str = "  ") -> str:
    """Columns aligned; the first row is the heading."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
