"""Golden files: what was reviewed once, compared with what is made now. `pytest --update-golden` writes them anew."""

import difflib
from pathlib import Path
from typing import Any

import yaml

_LINES = 60


class _Dumper(yaml.SafeDumper):
    """Block style for texts of several lines, no anchors: made to be read in a diff."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    # YAML cannot write a trailing blank in block style; such a text stays quoted.
    block = "\n" in data and not any(line.endswith((" ", "\t")) for line in data.splitlines())
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if block else None)


_Dumper.add_representer(str, _text)


def dump(*documents: Any, sort: bool = True) -> str:
    """YAML as golden files hold it: block texts, one document after the other."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=sort, width=120, allow_unicode=True)


def stale(path: Path, text: str, *, update: bool) -> str:
    """Empty when `path` says `text`, or has just been updated; else the beginning of the difference."""
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return ""
    old = path.read_text() if path.is_file() else ""
    if old == text:
        return ""
    diff = list(difflib.unified_diff(old.splitlines(), text.splitlines(), path.name, "now", lineterm="", n=2))
    more = [f"… {len(diff) - _LINES} lines more"] if len(diff) > _LINES else []
    return "\n".join([*diff[:_LINES], *more])
