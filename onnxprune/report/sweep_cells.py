"""Results of a sweep as cells of a table, for every form of the report."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from onnxprune.evaluation import METRICS
from onnxprune.report.evaluation_terminal import spelled
from onnxprune.report.figures import count, percent, plural, printable, share, size
from onnxprune.sweep import NONE, Row, Sweep
from onnxprune.sweep.document import COSTS, PRECISIONS


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: what it says.
        best: whether the row is on the Pareto front of this cost.
        number: whether it is a figure, and goes to the right.
        spare: of a heading, whether its column may be left out where there is no room.
    """

    text: str
    best: bool = False
    number: bool = False
    spare: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a line for each row of a sweep.

    Attributes:
        heads: of the columns.
        lines: cells of each row; those without a result have no figures.
        rows: that the lines are of.
        same: what is the same in all rows and has no column, in words.
    """

    heads: tuple[Cell, ...]
    lines: tuple[tuple[Cell, ...], ...]
    rows: tuple[Row, ...]
    same: tuple[str, ...]


def table_of(found: Sweep) -> Table:
    """The results with a column for everything that differs between them."""
    ways: list[tuple[str, Callable[[Row], str]]] = [
        ("criterion", lambda row: row.config.criterion),
        ("repair", lambda row: row.config.repair if not row.config.is_source else ""),
        ("precision", lambda row: PRECISIONS.get(row.config.quantize, row.config.quantize)),
    ]
    shown, same = [], []
    for head, say in ways:
        values = list(dict.fromkeys(text for row in found.rows if (text := say(row))))
        if len(values) > 1:
            shown.append((head, say))
        elif values and values[0] != PRECISIONS[NONE]:
            same.append(f"{head} {printable(values[0])}")
    metric = METRICS[found.metric]
    costs = found.costs
    alike = {row.config.target for row in found.rows if not row.config.is_source}
    first = alike.pop() if len(alike) == 1 and not found.space.layers else ""
    heads = [Cell(first or "pruned"), *(Cell(head) for head, _ in shown)]
    heads.append(Cell(f"{metric.title} {metric.unit}".strip(), number=True))
    heads += [Cell(COSTS[name], number=True) for name in costs]
    lines = []
    for row in found.rows:
        pruned = row.config.amount if first and not row.config.is_source else row.config.pruned
        cells = [Cell(printable(pruned)), *(Cell(printable(say(row))) for _, say in shown)]
        if not row.reason:
            cells.append(Cell(spelled(metric, row.quality(found.metric)), row.on_front, number=True))
            cells += [Cell(cost_text(found, row, name), name in row.best_for, number=True) for name in costs]
        lines.append(tuple(cells))
    return Table(tuple(heads), tuple(lines), found.rows, tuple(same))


def cost_text(found: Sweep, row: Row, name: str) -> str:
    """A cost in words: latency and MACs as shares of the source's."""
    if name == "latency":
        return f"{row.outcome['latency']['ratio']:.2f}x"
    value = row.cost(name) or 0.0
    return size(value) if name == "bytes" else percent(share(float(found.rows[0].outcome["macs"]), value))


def combinations_of(found: Sweep) -> Table | None:
    """Combinations of layers as rows, with size and quality in every precision; None of other sweeps."""
    if not found.space.layers:
        return None
    metric = METRICS[found.metric]
    kinds = [kind for kind in PRECISIONS if any(row.config.quantize == kind for row in found.rows)]
    together: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in found.rows:
        own = row.config
        many = len(found.space.criteria) * len(found.space.repairs) > 1
        ways = (own.criterion, own.repair) if many and not own.is_source else ("", "")
        together.setdefault((_layers(row, found), *ways), {})[own.quantize] = row
    heads = [Cell("layers"), Cell("params", number=True, spare=True), Cell("MACs", number=True, spare=True)]
    for kind in kinds:
        heads.append(Cell(f"{PRECISIONS[kind]} {metric.unit or metric.title}", number=True))
        heads.append(Cell("size", number=True))
    lines, firsts = [], []
    for (layers, *more), by_kind in together.items():
        first = next((row for row in by_kind.values() if not row.reason), None)
        name = " ".join([layers, *(text for text in more if text)])
        params = Cell(count(first.outcome["params"]) if first else "", number=True)
        macs = Cell(cost_text(found, first, "macs") if first else "", number=True)
        cells = [Cell(printable(name)), params, macs]
        for kind in kinds:
            at = by_kind.get(kind)
            if at is None or at.reason:
                cells += [Cell("", number=True)] * 2
                continue
            cells.append(Cell(spelled(metric, at.quality(found.metric)), "bytes" in at.best_for, number=True))
            cells.append(Cell(size(at.outcome["bytes"]), number=True))
        lines.append(tuple(cells))
        firsts.append(next(iter(by_kind.values())))
    return Table(tuple(heads), tuple(lines), tuple(firsts), ())


def _layers(row: Row, found: Sweep) -> str:
    if row.config.is_source:
        return "none (source)"
    names = " + ".join(row.config.layers)
    amounts = {other.config.amount for other in found.rows if not other.config.is_source}
    return f"{names}, {row.config.target} {row.config.amount}" if len(amounts) > 1 else names


def csv_of(found: Sweep) -> str:
    """Every result as a line, with figures in plain units."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_CSV)
    for row in found.rows:
        writer.writerow(_csv_line(found, row))
    return buffer.getvalue()


_CSV = (
    "name,target,amount,layers,criterion,repair,quantize,metric,value,low,high,latency_ratio,p50_ms,source_p50_ms,"
    "macs,params,bytes,front,best_for,model,reason"
).split(",")


def _csv_line(found: Sweep, row: Row) -> Iterator[object]:
    own, outcome = row.config, row.outcome
    yield from (
        own.name,
        own.target,
        own.amount,
        " ".join(own.layers),
        own.criterion,
        own.repair,
        own.quantize,
    )
    figure = outcome.get("metrics", {}).get(found.metric, {})
    low, high = figure.get("interval", ("", ""))
    yield from (found.metric, figure.get("value", ""), low, high)
    latency = outcome.get("latency") or {}
    yield from (latency.get(name, "") for name in ("ratio", "p50_ms", "source_p50_ms"))
    yield from (outcome.get(name, "") for name in ("macs", "params", "bytes"))
    yield from (int(row.on_front), " ".join(row.best_for), outcome.get("model") or "", row.reason)


def headline(found: Sweep) -> list[str]:
    """What was tried and on what, in a few words each."""
    front = sum(row.on_front for row in found.rows)
    told = [f"{len(found.done)} results, {front} on the Pareto front"]
    told += [f"{len(found.failed)} without a result"] if found.failed else []
    return told


def about(found: Sweep, same: Sequence[str]) -> list[str]:
    """How results were judged, and what all have in common."""
    told = [*same, printable(f"{found.data}, {found.samples} of them held back")]
    if found.machine:
        told.append(
            "latency as a share of the source's, "
            f"{plural(found.settings['threads'] or 1, 'thread')}, {found.machine}"
        )
    return told
