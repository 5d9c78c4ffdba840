"""`python -m stack explain`: its tables are read back as a person would, and recomputed."""

import re
from collections import defaultdict

import pytest

from kube.quantity import GI, parse_bytes, parse_cpu
from stack.__main__ import main
from stack.commands.explain import explanation
from stack.commands.stacks import find, stack_names
from stack.commands.table import WIDTH, table
from stack.plan import StackPlan

Row = dict[str, str]


def tables(text: str) -> list[list[Row]]:
    """Every table: rows by header. Columns are where the line of dashes says; a wrapped line continues its row."""
    found: list[list[Row]] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not re.fullmatch(r" *-+( +-+)+", line):
            continue
        spans = [m.span() for m in re.finditer("-+", line)]
        spans[-1] = (spans[-1][0], WIDTH)
        names = [lines[number - 1][a:b].strip() for a, b in spans]
        rows: list[Row] = []
        for body in lines[number + 1 :]:
            if not body.strip():
                break
            cells = [body[a:b].strip() for a, b in spans]
            if cells[0]:
                rows.append(dict(zip(_unique(names), cells, strict=True)))
            elif rows:
                last = _unique(names)[-1]
                rows[-1][last] = f"{rows[-1][last]} {cells[-1]}".strip()
        found.append(rows)
    return found


def _unique(names: list[str]) -> list[str]:
    """Two columns called `there` become `there` and `there 2`."""
    seen: dict[str, int] = defaultdict(int)
    result = []
    for name in names:
        seen[name] += 1
        result.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return result


def number(cell: str) -> float:
    return float(cell.replace(",", "").rstrip(" %"))


@pytest.fixture(params=stack_names())
def plan(request: pytest.FixtureRequest) -> StackPlan:
    return find(request.param).plan()


def section(plan: StackPlan, title: str) -> str:
    text = explanation(plan)
    start = text.index(f"{title}\n{'=' * len(title)}\n")
    rest = text[start:]
    following = re.search(r"\n\n[^\n]+\n=+\n", rest[len(title) * 2 :])
    return rest[: following.start() + len(title) * 2] if following else rest


def test_it_fits_a_terminal_of_120_columns_and_has_no_colours(plan: StackPlan) -> None:
    text = explanation(plan)
    wide = [line for line in text.splitlines() if len(line) > WIDTH]
    assert not wide
    assert "\x1b" not in text, "redirected into a file, escape codes are noise"


def test_what_each_role_is_asked_for_is_the_sum_of_its_pods(plan: StackPlan) -> None:
    (rows,) = tables(section(plan, "Node pools"))
    for row in rows:
        works = [w for w in plan.workloads if w.pool == row["role"]]
        cpu = sum(w.cpu * w.peak_replicas for w in works) / 1000
        memory = sum(w.memory * w.peak_replicas for w in works) / GI
        assert number(row["vCPU asked"]) == pytest.approx(cpu, abs=0.51 if cpu >= 100 else 0.051)
        assert number(row["GiB asked"]) == pytest.approx(memory, abs=0.51 if memory >= 100 else 0.051)
        assert int(row["pods"]) == sum(w.peak_replicas for w in works)


def test_what_is_there_counts_one_node_of_each_pool_as_lost(plan: StackPlan) -> None:
    (rows,) = tables(section(plan, "Node pools"))
    for row in rows:
        pools = [p for p in plan.settings.node_pools.values() if p.role.value == row["role"]]
        cpu = sum((p.count - 1) * (p.cpu - 0.3) for p in pools)
        memory = sum((p.count - 1) * (parse_bytes(p.memory) / GI - 1) for p in pools)
        assert number(row["there"]) == pytest.approx(cpu, abs=0.51 if cpu >= 100 else 0.051)
        assert number(row["there 2"]) == pytest.approx(memory, abs=0.51 if memory >= 100 else 0.051)
        asked = sum(w.memory * w.peak_replicas for w in plan.workloads if w.pool == row["role"]) / GI
        assert number(row["full 2"]) == pytest.approx(100 * asked / memory, abs=0.51)


def test_every_workload_is_listed_once_with_its_size(plan: StackPlan) -> None:
    rows = [row for rows in tables(section(plan, "What runs on them")) for row in rows]
    assert sorted(row["workload"] for row in rows) == sorted(w.name for w in plan.workloads)
    by_name = {w.name: w for w in plan.workloads}
    for row in rows:
        work = by_name[row["workload"]]
        assert parse_cpu(row["CPU each"]) == work.cpu
        low, _, high = row["pods"].partition("–")
        assert (int(low), int(high or low)) == (work.replicas, work.peak_replicas)


def test_every_process_type_is_explained(plan: StackPlan) -> None:
    (rows,) = tables(section(plan, "Synapse's processes"))
    assert [row["process"] for row in rows] == [p.type.value for p in plan.processes]
    for row, process in zip(rows, plan.processes, strict=True):
        assert int(row["count"]) == process.replicas
        assert parse_cpu(row["CPU"]) == process.resources.cpu
        assert parse_bytes(row["memory"].partition("–")[0]) == process.resources.memory
        scale = process.autoscale
        assert row["autoscaled"] == (f"to {scale.maximum} at {scale.cpu_percent} %" if scale else "")


def test_a_count_that_the_stack_file_sets_says_so_with_the_bands_own() -> None:
    source = find("large")
    text = source.text + "    synapse: { workers: { event_persister: { replicas: 6 } } }\n"
    edited = type(source)(label=source.label, stack=source.stack, text=text).plan()
    (rows,) = tables(section(edited, "Synapse's processes"))
    row = next(row for row in rows if row["process"] == "event-persister")
    assert (row["count"], row["from"]) == ("6", "set (band: 8)")


def test_connections_add_up_and_stay_below_what_postgresql_accepts(plan: StackPlan) -> None:
    (rows,) = tables(section(plan, "PostgreSQL's connections"))
    cells = {row["process"]: row for row in rows}
    processes = [p.type.value for p in plan.processes]
    for name in processes:
        row = cells[name]
        assert int(row["at most"]) * int(row["cp_max"]) == int(row["connections"])
    terms = sum(int(cells[name]["connections"]) for name in (*processes, "maintenance"))
    assert terms == int(cells["all of Synapse"]["connections"]) == plan.postgres.connections
    needed = terms + int(cells["reserved"]["connections"])
    assert needed == int(cells["needed"]["connections"])
    assert needed <= plan.postgres.max_connections
    assert f"max_connections is {plan.postgres.max_connections} " in section(plan, "PostgreSQL's connections")


def test_what_follows_from_memory_is_what_is_rendered(plan: StackPlan) -> None:
    (rows,) = tables(section(plan, "Other numbers that follow"))
    values = {row["what"]: row["value"] for row in rows}
    for name in ("shared_buffers", "effective_cache_size", "work_mem", "max_slot_wal_keep_size"):
        assert values[f"postgres: {name}"] == plan.postgres.parameters[name]
    assert values["redis-synapse: data"] == f"{plan.redis_synapse.max_memory // 2**20}Mi"
    router = plan.synapse.router
    assert number(values["router: connections"]) == router.max_connections
    assert number(values["router: memory"].removesuffix("Mi")) == round(router.workload.resources.memory / 2**20)
    assert values["edge: address"] == plan.edge.address
    assert plan.minio.tenant is not None
    assert number(values["object storage: usable"].removesuffix("Gi")) == plan.minio.tenant.usable / GI


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "large"]) == 0
    assert capsys.readouterr().out == explanation(find("large").plan()) + "\n"


def test_a_table_wraps_its_last_column_and_keeps_the_others() -> None:
    text = table(("name", ">n", "words"), [("a", "1", "one two three four five six")], width=31)
    assert text.splitlines() == [
        "  name  n  words",
        "  ----  -  --------------------",
        "  a     1  one two three four",
        "           five six",
    ]
