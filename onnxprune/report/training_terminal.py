"""How a training went, on the terminal: a few epochs, the course of the metric, the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprune.report.figures import plural, printable, size
from onnxprune.report.style import emit, grid, signs

_MOST_ROWS = 12
_BLOCKS = "▁▂▃▄▅▆▇█"
_MOST_BLOCKS = 60
_UNITS: Mapping[str, tuple[float, str, str]] = {
    "accuracy": (100, "accuracy %", "%"),
    "agreement": (100, "agreement %", "%"),
    "sqnr": (1, "SQNR dB", "dB"),
}
"""Factor, title and unit of what is validated."""


def show_training(report: Mapping[str, Any], console: Console) -> None:
    """Print the account of a training.

    Args:
        report: as ``FinetuneResult.to_dict`` gives it.
        console: where; its width, colours and encoding are respected.
    """
    own, chars = report["training"], signs(console)
    history, account = own["history"], own["account"]
    parts: list[RenderableType] = [_table(own)]
    if not console.options.ascii_only and len(history) > 2:
        line = sparkline([epoch["metric"] for epoch in history])
        parts.append(Text.assemble((f"{own['metric']} ", "dim"), (line, "cyan")))
    parts.append(_outcome(own, chars.arrow))
    samples, features = account["samples"], account.get("features")
    about = [
        f"{samples['training']:,} samples to train on, {samples['validation']:,} held back",
        *([f"inner values like the teacher's: {len(features)}"] if features else []),
        f"{account['device']}, {account['precision']}",
        f"{account['seconds']:.1f} s",
    ]
    parts.append(Text(f" {chars.dot} ".join(about), "dim"))
    parts += [Text(f"! {printable(note)}", "yellow") for note in report["warnings"]]
    if report["output"] is not None:
        written = report["output"]
        parts.append(Text(f"{printable(written['path'])}  {size(written['bytes'])}", "bold"))
    emit(console, parts)


def sparkline(values: Sequence[float]) -> str:
    """Values as blocks of different heights, the lowest and the highest of them at the ends of the scale."""
    step = max(1, -(-len(values) // _MOST_BLOCKS))
    shown = [value for value in values[::step] if value == value]
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((value - low) * scale)] for value in shown)


def _outcome(own: Mapping[str, Any], arrow: str) -> Text:
    factor, _, unit = _UNITS[own["metric"]]
    first, best = (own["history"][place]["metric"] * factor for place in (0, own["best"]))
    where = f"epoch {own['best']}" if own["best"] else "the start"
    text = f"{own['metric']} {first:.2f} {arrow} {best:.2f} {unit} on samples held back, at {where}"
    return Text(text, "bold")


def _table(own: Mapping[str, Any]) -> Table:
    factor, title, _ = _UNITS[own["metric"]]
    table = grid("right", "right", "right", "right", "right", "left")
    heads = ("epoch", "lr", "loss", title, "seconds", "")
    table.add_row(*(Text(head, "dim") for head in heads))
    before = -1
    for place in _shown(len(own["history"]), own["best"]):
        if place > before + 1:
            table.add_row(*["..."] * 5, Text(plural(place - before - 1, "epoch"), "dim"))
        epoch = own["history"][place]
        loss = f"{epoch['loss']:.4f}" if place else ""
        name, rate = (str(place), f"{epoch['lr']:.2g}") if place else ("start", "")
        mark = "kept" if place == own["best"] else ""
        cells = (name, rate, loss, f"{epoch['metric'] * factor:.2f}", f"{epoch['seconds']:.1f}")
        table.add_row(*cells, Text(mark, "green"))
        before = place
    return table


def _shown(count: int, best: int) -> list[int]:
    """The epochs of the table: all of a short run, else the first and last ones and the best."""
    if count <= _MOST_ROWS:
        return list(range(count))
    ends = _MOST_ROWS // 2
    return sorted({*range(ends), best, *range(count - ends + 1, count)})
