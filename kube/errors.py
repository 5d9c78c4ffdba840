"""What is wrong with a stack, collected and reported all at once."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One violated rule: where (key path below `matrix:stack`), which rule in words, and the value that broke it."""

    path: str
    rule: str
    value: object = None
    show_value: bool = True  # False where the value itself may be a secret

    def __str__(self) -> str:
        shown = f" (got {self.value!r})" if self.show_value and self.value is not None else ""
        return f"{self.path}: {self.rule}{shown}"


class StackError(Exception):
    """The stack cannot be planned. Carries every problem found, so that a person fixes the file once.

    `source` is the file or stack that was read; it leads every line of the message.
    """

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        return [f"{self.source}: matrix:stack.{p}" if p.path else f"{self.source}: {p.rule}" for p in self.problems]
