"""Finds stack files: by a stack's name, by path, or as they were at a git revision. Failures are StackErrors."""

import difflib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kube.errors import Problem, StackError
from stack.load import ROOT, read_stack_text
from stack.plan import StackPlan, make_plan

SUFFIXES = (".yaml", ".yml")

REFERENCE = ("small", "medium", "large")
"""The stacks that this repository is made and tested for; documents tell of these. Sites add their own beside."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The text of one stack file. `label` is how messages call it; `stack` is the name that Pulumi gives the stack."""

    label: str
    stack: str
    text: str

    def plan(self) -> StackPlan:
        """StackError with every problem, under this source's own label."""
        settings = read_stack_text(self.text, self.label)
        try:
            return make_plan(settings, self.stack)
        except StackError as error:
            raise StackError(self.label, error.problems) from None


def stack_names(root: Path = ROOT) -> tuple[str, ...]:
    """Stacks that have a file here: the reference stacks by size, then all others by name."""
    names = {path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in root.glob("Pulumi.*.yaml")}
    others = sorted(name for name in names - set(REFERENCE) if "." not in name)  # `dev.local` is not kept in git
    return (*(name for name in REFERENCE if name in names), *others)


def stack_of(path: Path) -> str:
    """`Pulumi.large.yaml` -> `large`; any other file is its own stack, called by its name."""
    return path.stem.removeprefix("Pulumi.") or path.stem


def _read(path: Path, label: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        rule = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        rule = "is no text (not UTF-8)"
    raise StackError(label, [Problem(path="", rule=rule)])


def find(name: str, root: Path = ROOT) -> Source:
    """`large`, or the path of any file in the shape of a Pulumi.<stack>.yaml."""
    path = Path(name)
    if path.suffix in SUFFIXES or "/" in name:
        return Source(label=name, stack=stack_of(path), text=_read(path, name))
    path = root / f"Pulumi.{name}.yaml"
    if path.exists():
        return Source(label=path.name, stack=name, text=_read(path, path.name))
    known = stack_names(root)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    rule = f"there is no stack of this name{hint} (stacks here: {', '.join(known) or 'none'}; or give a file's path)"
    raise StackError(name, [Problem(path="", rule=rule)])


def at_revision(source: Source, revision: str, root: Path = ROOT) -> Source:
    """The stack's file as it was at a git revision (`HEAD`, `origin/main`, a commit)."""
    file = f"Pulumi.{source.stack}.yaml"
    label = f"{revision}:{file}"

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            rule = "git is not installed; give the other version as a file"
            raise StackError(label, [Problem(path="", rule=rule)]) from None

    # `--end-of-options`: a revision that begins with a dash is a revision, never an option.
    if git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").returncode:
        inside = git("rev-parse", "--is-inside-work-tree").returncode == 0
        rule = (
            f"neither a file nor a git revision here is called {revision!r}; a shallow clone may lack it (git fetch)"
            if inside
            else "this is no git checkout; give the other version as a file"
        )
        raise StackError(label, [Problem(path="", rule=rule)])
    shown = git("show", "--end-of-options", f"{revision}:./{file}")
    if shown.returncode:
        raise StackError(label, [Problem(path="", rule="this revision has no such file: the stack was not there yet")])
    return Source(label=label, stack=source.stack, text=shown.stdout)


def other_version(source: Source, against: str, root: Path = ROOT) -> Source:
    """What `--against` names: a file if there is one of that name, else a git revision. The stack stays the same."""
    path = Path(against)
    if path.suffix in SUFFIXES or path.is_file():
        return Source(label=against, stack=source.stack, text=_read(path, against))
    return at_revision(source, against, root)
