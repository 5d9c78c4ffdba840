"""Draws the architecture picture: rows of boxes on a grid of twelve columns, and straight arrows between them."""

import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence

from components.synapse.process_types import TYPES, ProcessType, Serves
from stack.commands.diagram import SYSTEMS, Chip, Link, NoPlaceError, System, chips, flows_of, links, with_federation
from stack.commands.svg import CHARACTER, INK, MUTED, PAPER, Box, arrow, document, rect, text, width
from stack.plan import StackPlan

WIDTH = 1240
MARGIN = 28
GUTTER = 20
HEADER = 50
"""Height of a box above its chips."""
ROW_GAP = 62
"""Room for an arrow and three lines of its label."""
CHIP = 24
CHIP_GAP = 5
PAD = 12
LABEL = 11
LEGEND = 46

POOL_COLORS = {
    "application": ("#1d4ed8", "#eff6ff", "#93c5fd"),
    "database": ("#6d28d9", "#f5f3ff", "#c4b5fd"),
    "storage": ("#b45309", "#fffbeb", "#fcd34d"),
    "calls": ("#0f766e", "#f0fdfa", "#5eead4"),
}
"""By role of the nodes: ink, box, edge of box and chip."""
_OUTSIDE = ("#334155", "#f8fafc", "#cbd5e1")

Group = tuple[str, list[Chip]]


def _colors(system: System) -> tuple[str, str, str]:
    return POOL_COLORS[system.pool] if system.pool else _OUTSIDE


def _column(index: int) -> float:
    unit = (WIDTH - 2 * MARGIN + GUTTER) / 12
    return MARGIN + index * unit


def _duty(name: str) -> str:
    """In which column of Synapse's box a process stands."""
    traits = TYPES[ProcessType(name)]
    if traits.federation:
        return "federation, when it is on"
    if traits.stream and traits.serves is not Serves.MEDIA:
        return "write streams"
    return "work in the background" if traits.serves is Serves.NOTHING else "answer requests"


def _groups(system: System, chips: Sequence[Chip]) -> list[Group]:
    if system.key != "synapse":
        return [("", list(chips))]
    found: dict[str, list[Chip]] = {
        name: [] for name in ("answer requests", "write streams", "work in the background", "federation, when it is on")
    }
    for chip in chips:
        found[_duty(chip.name.removeprefix("synapse-"))].append(chip)
    return list(found.items())


def _columns(system: System) -> int:
    """How many chips lie side by side in a box: each as wide as three columns of the grid."""
    return max(1, system.columns // 3)


def _lines(system: System, groups: Sequence[Group]) -> int:
    if len(groups) > 1:
        return max(len(chips) for _, chips in groups) + 1
    return -(-len(groups[0][1]) // _columns(system))


def _height(system: System, chips: Sequence[Chip]) -> float:
    lines = _lines(system, _groups(system, chips))
    return HEADER + (lines * (CHIP + CHIP_GAP) + PAD - CHIP_GAP if lines else 4)


def boxes(chips: Mapping[str, Sequence[Chip]], below: frozenset[int]) -> dict[str, Box]:
    """Where each system stands. `below`: rows that need room for arrows along their lower edge."""
    result: dict[str, Box] = {}
    y = float(MARGIN + 34)
    for row in sorted({s.row for s in SYSTEMS}):
        mine = [s for s in SYSTEMS if s.row == row]
        height = max(_height(s, chips.get(s.key, ())) for s in mine)
        for system in mine:
            x = _column(system.column)
            right = _column(system.column + system.columns) - GUTTER
            result[system.key] = Box(x=x, y=y, w=right - x, h=height)
        y += height + ROW_GAP + (18 if row in below else 0)
    return result


def _chip(chip: Chip, box: Box, edge: str, name: str) -> list[str]:
    counts = text(box.right - 8, box.y + 16.5, chip.label, size=11.5, weight=600, color=INK, anchor="end")
    return [
        rect(box, fill=PAPER, stroke=edge, radius=5, dashed=chip.dashed),
        text(box.x + 8, box.y + 16.5, name, size=12),
        counts,
    ]


def _body(system: System, box: Box, chips: Sequence[Chip]) -> list[str]:
    edge = _colors(system)[2]
    parts: list[str] = []
    groups = _groups(system, chips)
    across = len(groups) if len(groups) > 1 else _columns(system)
    step = (box.w - 2 * PAD + CHIP_GAP * 2) / across
    prefix = f"{system.prefixes[0]}-"
    for column, (title, members) in enumerate(groups):
        top = box.y + HEADER
        if title:
            parts.append(text(box.x + PAD + column * step, top + 15, title, size=12, weight=600, color=MUTED))
            top += CHIP + CHIP_GAP
        for index, chip in enumerate(members):
            line, place = (index, column) if title else divmod(index, across)
            here = Box(x=box.x + PAD + place * step, y=top + line * (CHIP + CHIP_GAP), w=step - CHIP_GAP * 2, h=CHIP)
            parts += _chip(chip, here, edge, chip.name.removeprefix(prefix))
    return parts


def _system(system: System, box: Box, chips: Sequence[Chip]) -> list[str]:
    ink, fill, edge = _colors(system)
    subtitle = textwrap.shorten(system.subtitle, int((box.w - 2 * PAD) / (12 * CHARACTER)), placeholder="…")
    return [
        rect(box, fill=fill, stroke=edge, radius=10, dashed=system.key == "servers"),
        text(box.x + PAD, box.y + 22, system.title, size=15, weight=700, color=ink),
        text(box.x + PAD, box.y + 39, subtitle, size=12, color=MUTED),
        *_body(system, box, chips),
    ]


# ---- arrows ------------------------------------------------------------------------------------------------------


def _free(link: Link, places: Mapping[str, Box]) -> tuple[float, float]:
    """The widest strip in which a vertical line reaches from one box to the other and crosses no third."""
    a, b = places[link.source.key], places[link.target.key]
    strips = [(max(a.x, b.x) + PAD, min(a.right, b.right) - PAD)]
    low, high = sorted((link.source.row, link.target.row))
    for system in SYSTEMS:
        if low < system.row < high:
            wall = places[system.key]
            strips = [
                piece
                for start, end in strips
                for piece in ((start, min(end, wall.x - PAD)), (max(start, wall.right + PAD), end))
            ]
    start, end = max(strips, key=lambda strip: strip[1] - strip[0], default=(0.0, 0.0))
    if end <= start:
        raise NoPlaceError(f"no straight way from {link.source.title} to {link.target.title}; move a box")
    return start, end


def _label(x: float, y: float, link: Link, room: float) -> list[str]:
    """Ports, then the reason, wrapped to `room`; centred on `y`."""
    lines = textwrap.wrap(
        link.why, max(14, int(room / (LABEL * CHARACTER))), max_lines=2, placeholder=" …", break_long_words=False
    )
    top = y - (len(lines) + 1) * (LABEL + 2) / 2 + LABEL
    parts = [text(x, top, ", ".join(link.ports), size=LABEL, weight=700)]
    return parts + [text(x, top + (n + 1) * (LABEL + 2), line, size=LABEL, color=MUTED) for n, line in enumerate(lines)]


def _vertical(links: Sequence[Link], places: Mapping[str, Box]) -> list[str]:
    """Arrows between rows. Those with the same way share it out; labels stand to the right of their line."""
    ways: dict[tuple[float, float, frozenset[int]], list[Link]] = defaultdict(list)
    for link in links:
        ways[*_free(link, places), frozenset((link.source.row, link.target.row))].append(link)
    parts = []
    for (start, end, _), mine in ways.items():
        room = (end - start) / len(mine)
        for n, link in enumerate(mine):
            x = start + n * room + min(24, room / 4)
            a, b = places[link.source.key], places[link.target.key]
            down = a.y < b.y
            tail, head = (a.bottom, b.y) if down else (a.y, b.bottom)
            parts.append(arrow([(x, tail), (x, head)], dashed=link.dashed))
            # Beside the end in the gap that belongs to the lower box, where no other row is in the way.
            lower = max(a.y, b.y)
            parts += _label(x + 8, lower - ROW_GAP / 2, link, room - 40)
    return parts


def _below(links: Sequence[Link], places: Mapping[str, Box]) -> list[str]:
    """Arrows inside a row: down, along, and up again."""
    parts = []
    for link in links:
        a, b = places[link.source.key], places[link.target.key]
        y = a.bottom + 18
        x1, x2 = (a.right - 40, b.x + 40) if a.x < b.x else (a.x + 40, b.right - 40)
        parts.append(arrow([(x1, a.bottom), (x1, y), (x2, y), (x2, b.bottom)], dashed=link.dashed))
        x, ports = max(x1, x2) + 10, ", ".join(link.ports)
        parts.append(text(x, y + 4, ports, size=LABEL, weight=700))
        parts.append(text(x + width(ports, LABEL) + 8, y + 4, link.why, size=LABEL, color=MUTED))
    return parts


def _legend(y: float, stacks: Sequence[str], pools: Sequence[str]) -> list[str]:
    parts = []
    x = float(MARGIN)
    for pool in pools:
        _, fill, edge = POOL_COLORS[pool]
        words = f"{pool} nodes"
        parts += [
            rect(Box(x=x, y=y, w=16, h=16), fill=fill, stroke=edge, radius=4),
            text(x + 22, y + 13, words, size=12),
        ]
        x += 22 + width(words, 12) + 24
    parts.append(rect(Box(x=x, y=y, w=16, h=16), fill=PAPER, stroke="#94a3b8", radius=4, dashed=True))
    parts.append(text(x + 22, y + 13, "with federation on", size=12))
    counts = f"pods in {' · '.join(stacks)}; a–b: autoscaled"
    parts.append(text(WIDTH - MARGIN, y + 13, counts, size=12, color=MUTED, anchor="end"))
    return parts


def draw(stacks: Sequence[str], chips: Mapping[str, Sequence[Chip]], links: Sequence[Link]) -> str:
    """The SVG."""
    beside = [link for link in links if link.source.row == link.target.row]
    places = boxes(chips, frozenset(link.source.row for link in beside))
    bottom = max(box.bottom for box in places.values())
    if any(link.source.row == max(s.row for s in SYSTEMS) for link in beside):
        bottom += 34
    height = bottom + LEGEND + 8
    parts = [text(MARGIN, MARGIN + 10, "synapse-platform", size=18, weight=700)]
    for system in SYSTEMS:
        parts += _system(system, places[system.key], chips.get(system.key, ()))
    parts += _vertical([link for link in links if link.source.row != link.target.row], places)
    parts += _below(beside, places)
    pools = [pool for pool in POOL_COLORS if any(s.pool == pool for s in SYSTEMS)]
    parts += _legend(height - 38, stacks, pools)
    description = "; ".join(f"{link.source.title} to {link.target.title}: {link.why}" for link in links)
    return document(WIDTH, height, title="Architecture of synapse-platform", description=description, parts=parts)


def architecture(plans: Mapping[str, StackPlan]) -> str:
    """docs/architecture.svg of these stacks: chips carry all their counts, arrows are those of the last one."""
    federated = [with_federation(plan) for plan in plans.values()]
    last = list(plans.values())[-1]
    return draw(
        list(plans),
        chips([plan.workloads for plan in federated], last.workloads),
        links(flows_of(federated[-1]), flows_of(last)),
    )
