"""`docs`: writes what is generated in README.md and docs/, between markers, and the files that are generated whole.

A part is marked in the text as `<!-- generated: NAME -->` … `<!-- end -->`. A test runs the same code with `--check`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kube.errors import Problem, StackError
from stack.commands import diagram_layout, doc_tables, schema
from stack.commands.diagram import NoPlaceError
from stack.load import ROOT

Tables = Mapping[str, Callable[[], str]]

_PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(text: str, source: str, tables: Tables) -> str:
    """`text` with every marked part made anew. StackError for a marker that nobody can fill."""

    def part(match: re.Match[str]) -> str:
        opening, name, end = match.groups()
        if name not in tables:
            known = ", ".join(sorted(tables))
            raise StackError(source, [Problem(path="", rule=f"nothing generates {name!r} (known: {known})")])
        return f"{opening}{tables[name]().rstrip()}\n{end}"

    if text.count("<!-- generated:") != len(_PART.findall(text)):
        raise StackError(source, [Problem(path="", rule="a `<!-- generated: … -->` has no `<!-- end -->`")])
    return _PART.sub(part, text)


def _documents(root: Path) -> Iterator[Path]:
    yield root / "README.md"
    yield from sorted((root / "docs").rglob("*.md"))


def generated(root: Path = ROOT) -> dict[Path, str]:
    """Every file that has a generated part, or is generated whole, as it ought to be."""
    tables = doc_tables.TABLES
    result = {path: rendered(path.read_text(encoding="utf-8"), path.name, tables) for path in _documents(root)}
    return {
        **result,
        root / "docs" / "architecture.svg": diagram_layout.architecture(doc_tables.plans()),
        root / "stack" / "schema.json": schema.schema_text(),
    }


def outdated(root: Path = ROOT) -> list[Path]:
    """Files that differ from what would be generated now."""
    return [p for p, text in generated(root).items() if not p.exists() or p.read_text(encoding="utf-8") != text]


def docs(*, check: bool) -> int:
    """Write, or only tell."""
    try:
        wanted, stale = generated(), outdated()
    except NoPlaceError as error:
        print(error)
        return 1
    for path in stale:
        name = path.relative_to(ROOT)
        if check:
            print(f"{name}: is out of date; write it with `python -m stack docs`")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
            print(f"{name}: written")
    if not stale:
        print(f"{len(wanted)} files are up to date")
    return int(check and bool(stale))
