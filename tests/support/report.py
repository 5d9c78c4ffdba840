"""One way to fail: the reason, and every offender at once."""

from collections.abc import Iterable


def none_of(offenders: Iterable[object], reason: str) -> None:
    """Fail with the reason and the whole list, if there is anybody on it."""
    found = sorted({str(offender) for offender in offenders})
    if found:
        lines = "\n".join(f"  - {line}" for line in found)
        raise AssertionError(f"{reason}; {len(found)} offend:\n{lines}")
