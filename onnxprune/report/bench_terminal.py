"""A benchmark on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprune.report.figures import count, percent, plural, printable, shortened, size
from onnxprune.report.style import INDENT, Signs, bar, emit, grid, signs, width

_LEAST_NAME = 12
_OPERATORS_SHOWN = 8
_NODES_SHOWN = 10
_CELLS = 16
_SLACK = 12
"""Columns by which another node's cells may be wider than this one's."""
_COLOURS = {"faster": "green", "slower": "red"}


def show_benchmark(found: Mapping[str, Any], console: Console, *, verbose: int = 0) -> None:
    """Print a benchmark.

    Args:
        found: as ``Benchmark.to_dict`` gives it.
        console: where; its width, colours and encoding are respected.
        verbose: above 0 every node of a profile has its line.
    """
    chars, room = signs(console), width(console) - INDENT
    parts: list[RenderableType] = [_models(found["models"], room)]
    for result in found["results"]:
        parts.append(_result(result, room, several=len(found["models"]) > 1))
    for profile in found["profiles"]:
        parts += _profile(profile, room, chars, None if verbose else _NODES_SHOWN)
    parts.append(Text("\n".join(printable(line) for line in _footnotes(found, chars)), "dim"))
    emit(console, parts)


def compared(row: Mapping[str, Any]) -> Text:
    """A ratio with half of its interval, and what it means; empty for the model compared with."""
    if "ratio" not in row:
        return Text("")
    low, high = row["ratio_interval"]
    verdict = row["verdict"]
    text = f"{row['ratio']:.3f}x ±{(high - low) / 2:.3f} {verdict}"
    return Text(text, _COLOURS.get(verdict, "yellow"))


def milliseconds(value: float) -> str:
    """Three digits or more."""
    return f"{_three(value)} ms"


def _models(rows: Sequence[Mapping[str, Any]], room: int) -> Table:
    heads = ("size", "MACs", "params", "load", "memory")
    cells = [
        (
            size(row["bytes"]),
            count(row["macs"]),
            count(row["params"]),
            milliseconds(row["load_ms"]),
            size(max(0, row["peak_bytes"] - row["empty_bytes"])),
        )
        for row in rows
    ]
    return _table([row["model"] for row in rows], heads, cells, room)


def _result(result: Mapping[str, Any], room: int, *, several: bool) -> Table:
    rows = result["models"]
    batches = sorted({row["batch"] for row in rows})
    setting = [plural(result["threads"], "thread"), f"batch {', '.join(map(str, batches))}"]
    if result["provider"] != "cpu":
        setting.append(result["provider"])
    heads = ["p50 ms", "p90", "p99", "per s"]
    cells: list[Sequence[str | Text]] = []
    for row in rows:
        low, high = row["p50_interval_ms"]
        own = [f"{_three(row['p50_ms'])} ±{(high - low) / 2:.2g}"]
        own += [_three(row["p90_ms"]), _three(row["p99_ms"]), _three(row["throughput_per_s"])]
        cells.append([*own, compared(row)] if several else own)
    if several:
        heads.append("time against the first")
    return _table([row["model"] for row in rows], heads, cells, room, title=", ".join(setting))


def _three(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _table(
    names: Sequence[str],
    heads: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    room: int,
    *,
    title: str = "model",
) -> Table:
    columns = zip(heads, *rows, strict=True)
    taken = sum(max(len(cell) for cell in column) + 2 for column in columns)
    table = grid("left", *["right"] * len(heads))  # type: ignore[arg-type]
    table.add_row(*(Text(head, "dim") for head in (title, *heads)))
    for name, row in zip(names, rows, strict=True):
        table.add_row(Text(shortened(printable(name), max(_LEAST_NAME, room - taken)), "bold"), *row)
    return table


def _profile(profile: Mapping[str, Any], room: int, chars: Signs, limit: int | None) -> list[RenderableType]:
    """Operators, then the slowest nodes."""
    head = Text.assemble(
        (f"{printable(profile['model'])}", "bold"),
        (
            f"  {milliseconds(profile['nodes_ms'])} in nodes, median of {plural(profile['runs'], 'run')}",
            "dim",
        ),
    )
    operators = grid("left", "right", "right", "right", "left")
    operators.add_row(*(Text(text, "dim") for text in ("operator", "nodes", "time", "share", "")))
    for row in profile["operators"][:_OPERATORS_SHOWN]:
        own = (printable(row["op"]), str(row["nodes"]), milliseconds(row["ms"]), percent(row["share"]))
        operators.add_row(*own, bar(row["share"], _CELLS, chars))
    nodes = grid("left", "left", "left", "right", "right")
    nodes.add_row(*(Text(text, "dim") for text in ("slowest nodes", "op", "input", "time", "share")))
    for row in profile["nodes"][:limit]:
        shapes = "x".join(map(str, row["inputs"][0])) if row["inputs"] else ""
        own = (printable(row["op"]), shapes, milliseconds(row["ms"]), percent(row["share"]))
        name = shortened(
            printable(row["name"]), max(_LEAST_NAME, room - sum(len(cell) + 2 for cell in own) - 12)
        )
        nodes.add_row(name, *own)
    return [head, operators, nodes]


def _footnotes(found: Mapping[str, Any], chars: Signs) -> list[str]:
    own = found["machine"]
    widest = [flag for flag in own["isa"] if flag.startswith(("avx512f", "avx2", "asimd", "sve"))]
    facts = [
        own["processor"],
        plural(own["cores"], "core"),
        *widest[-1:],
        f"ONNX Runtime {own['onnxruntime']}",
    ]
    rows = found["results"][0]["models"]
    told = [
        f" {chars.dot} ".join(facts),
        f"{plural(rows[0]['rounds'], 'round')} in turns, "
        "± half of the median's 95 % interval, memory above that of an empty process",
    ]
    return [*told, *(f"note: {text}" for text in found["notes"])]
