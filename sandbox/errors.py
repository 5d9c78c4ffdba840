"""What the sandbox says when something is not as it should be."""


class SandboxError(Exception):
    """An expected failure in words: what failed, and what to do. The command line prints it without a traceback."""

    def __init__(self, what: str, *, hint: str = "", detail: str = "") -> None:
        self.what = what
        self.hint = hint
        self.detail = detail
        super().__init__(what)

    def text(self) -> str:
        parts = [f"error: {self.what}"]
        if self.detail:
            parts.append("\n".join(f"  | {line}" for line in self.detail.splitlines()))
        if self.hint:
            parts.append(f"what to do: {self.hint}")
        return "\n".join(parts)
