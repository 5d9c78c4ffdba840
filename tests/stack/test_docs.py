"""README.md and docs/: what is generated is up to date, what is written leads somewhere."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from kube.errors import StackError
from stack.commands.diagram import NoPlaceError, flows_of, owner, system_of
from stack.commands.doc_tables import TABLES, plans
from stack.commands.docs import generated, outdated, rendered
from stack.load import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_everything_generated_is_up_to_date() -> None:
    stale = [str(path.relative_to(ROOT)) for path in outdated()]
    assert not stale, "write them with `python -m stack docs`"


def test_every_table_that_can_be_generated_stands_somewhere() -> None:
    text = "".join(path.read_text() for path in DOCUMENTS)
    assert {name for name in TABLES if f"<!-- generated: {name} -->" in text} == set(TABLES)


def test_generating_twice_gives_the_same_bytes() -> None:
    assert generated() == generated()


def test_a_part_is_replaced_and_the_text_around_it_stays() -> None:
    text = "before\n<!-- generated: x -->\nold\n<!-- end -->\nafter\n"
    assert rendered(text, "a.md", {"x": lambda: "new"}) == text.replace("old", "new")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- generated: y -->\n<!-- end -->", "nothing generates 'y' (known: x)"),
        ("<!-- generated: x -->\nno end", "a `<!-- generated: … -->` has no `<!-- end -->`"),
    ],
)
def test_a_marker_that_cannot_be_filled_is_told(text: str, message: str) -> None:
    with pytest.raises(StackError) as error:
        rendered(text, "a.md", {"x": lambda: ""})
    assert error.value.lines() == [f"a.md: {message}"]


def _links(path: Path) -> list[str]:
    return [m for m in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()) if "://" not in m]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_to_a_file(path: Path) -> None:
    missing = [link for link in _links(path) if not (path.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")), ids=lambda p: p.stem)
def test_every_decision_is_at_most_a_page_and_names_the_alternative_that_lost(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"# {path.name[:4]}: ")
    assert "**Decided.**" in text and "**Why.**" in text and "**Lost: " in text and "**Price.**" in text
    assert len(text.splitlines()) <= 45, "nobody reads more"


# ---- the picture -------------------------------------------------------------------------------------------------


def _picture() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "docs" / "architecture.svg").getroot()


def test_the_picture_shows_every_kind_of_pods_with_its_counts() -> None:
    words = {element.text for element in _picture().iter() if element.text}
    counts = {}
    for name, plan in plans().items():
        for work in plan.workloads:
            kind = re.sub(r"-\d+$", "", work.name)
            assert kind in words or kind.removeprefix(f"{owner(work).prefixes[0]}-") in words, f"{kind} is not drawn"
            low, high = counts.get((kind, name), (0, 0))
            counts[kind, name] = low + work.replicas, high + work.peak_replicas
    for kind in {kind for kind, _ in counts}:
        ends = [counts[kind, name] for name in plans()]
        label = " · ".join(str(low) if low == high else f"{low}–{high}" for low, high in ends)
        assert label in words, f"the counts of {kind} are not {label} in the picture"


def test_the_picture_has_an_arrow_for_every_pair_of_systems_that_talk() -> None:
    (description,) = [e.text or "" for e in _picture() if e.tag.endswith("desc")]
    for flow in [flow for plan in plans().values() for flow in flows_of(plan)]:
        source, target = system_of(flow.source.name), system_of(flow.target.name)
        if source is not target:
            assert f"{source.title} to {target.title}: " in description


def test_nothing_in_the_picture_lies_outside_of_it() -> None:
    root = _picture()
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for element in root.iter():
        if element.tag.endswith("rect"):
            x, y, w, h = (float(element.get(k, 0)) for k in ("x", "y", "width", "height"))
            assert x >= 0 and x + w <= width and y >= 0 and y + h <= height


def test_a_system_without_a_box_is_an_error_and_not_a_gap() -> None:
    with pytest.raises(NoPlaceError, match="'weather' has no box in the picture"):
        system_of("weather")
