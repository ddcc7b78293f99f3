"""A pruning report on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprune.report.accuracy_lines import accuracy_lines
from onnxprune.report.document import Change, Report, criteria_text, target_text
from onnxprune.report.figures import count, factor, percent, plural, printable, share, shortened, size, tiny
from onnxprune.report.latency import latency_text, search_text
from onnxprune.report.quantization import as_grid, comparison
from onnxprune.report.repair_text import repair_text
from onnxprune.report.rows import SCREEN, Line, label, listing
from onnxprune.report.style import INDENT, Signs, bar, emit, grid, signs, width
from onnxprune.report.training_text import asked_for, steps_table, training_lines

FIGURES = {"params": ("parameters", count), "macs": ("MACs", count), "bytes": ("file size", size)}
FIGURES["filters"] = ("filters", count)
"""How each total is called and written."""

MASKED = "the masked source"
_NAMES_SHOWN = 4
_WIDE = 100


def show(
    report: Report, console: Console, *, verbose: int = 0, files: Sequence[str] = (), hint: str = ""
) -> None:
    """Print a report.

    Args:
        report: of a pruning run.
        console: where; its width, colours and encoding are respected.
        verbose: above 0 every layer has its line.
        files: reports that were written, for the list at the end.
        hint: what to do next.
    """
    chars = signs(console)
    room = width(console) - INDENT
    parts: list[RenderableType] = [headline(report, chars), totals(report.totals, room, chars)]
    if report.layers:
        parts.append(layers(report, room, chars, None if verbose else SCREEN))
        alone = [(label(row), row.reason) for row in report.layers if row.status != "pruned"]
        parts += reasons(alone, f"{len(alone)} of {plural(len(report.layers), 'layer')} kept all channels")
    if report.steps:
        parts.append(as_grid(steps_table(report)))
    if report.quantization:
        parts.append(as_grid(comparison(report)))
    emit(console, [*parts, outcome(report, chars, files, hint)])


def headline(report: Report, chars: Signs) -> Text:
    """The model and what was asked for."""
    path = report.source["path"]
    settings = report.settings
    asked = [target_text(settings), criteria_text(settings), f"{settings['scope']} scope"]
    if settings["scoring"] != "independent":
        asked.append(f"{settings['scoring']} scoring")
    grid = settings["grid"]
    asked.append(f"aligned to {grid}" if grid > 1 else "not aligned")
    asked += asked_for(settings)
    name = "model in memory" if path is None else printable(path)
    return Text.assemble((name, "bold"), "\n", (f" {chars.dot} ".join(map(printable, asked)), "dim"))


def totals(figures: Mapping[str, Change], room: int, chars: Signs) -> Table:
    """Figures before and after, with what is left of each."""
    table = grid("left", "right", "right", "right", "left", "left")
    table.add_row("", *(Text(head, "dim") for head in ("before", "after", "left")))
    cells = 24 if room >= _WIDE else 14
    for name in filter(figures.__contains__, FIGURES):
        (head, spell), (before, after) = FIGURES[name], figures[name]
        left = share(before, after)
        table.add_row(
            head,
            spell(before),
            Text(spell(after), "bold"),
            percent(left),
            bar(min(left, 1.0), cells, chars),
            Text(factor(before, after), "green" if after < before else ""),
        )
    return table


def layers(report: Report, room: int, chars: Signs, limit: int | None) -> Table:
    """A line a layer: channels before and after, and a bar of what is left."""
    shown = listing(report.layers, limit=limit)
    every = (*shown.head, *shown.tail)
    op = max(len("op"), *(len(_op(line)) for line in every))
    channels = max(len("channels"), *(len(_channels(line, chars)) for line in every))
    cells = 24 if room >= _WIDE else 14
    names = room - (op + channels + cells + len("pinned") + 4 * 2)
    table = grid("left", "left", "right", "left", "right")
    table.add_row(*(Text(head, "dim") for head in ("layer", "op", "channels", "", "left")))
    for line in shown.head:
        table.add_row(*_cells(line, names, cells, chars))
    if shown.left_out:
        gap = f"{plural(shown.left_out, 'line')} left out, -v shows all"
        table.add_row(Text(shortened(gap, names), "dim italic"))
    for line in shown.tail:
        table.add_row(*_cells(line, names, cells, chars))
    return table


def reasons(items: Sequence[tuple[str, str]], head: str, *, limit: int = 8) -> list[RenderableType]:
    """Names by the reason why they are whole, under a heading; empty where there are none.

    Args:
        items: (name, reason) pairs.
        head: the heading.
        limit: how many reasons are told.
    """
    by_reason: dict[str, list[str]] = {}
    for name, reason in items:
        by_reason.setdefault(reason or "nothing was asked of it", []).append(name)
    if not by_reason:
        return []
    text = Text(head, "bold", end="")
    for reason, names in list(by_reason.items())[:limit]:
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        text.append(f"\n{', '.join(names[:_NAMES_SHOWN])}{more}: ", "not bold")
        text.append(printable(reason), "not bold dim")
    rest = sum(len(names) for names in list(by_reason.values())[limit:])
    if rest:
        text.append(f"\nand {rest} more for other reasons", "not bold dim")
    return [text]


def outcome(report: Report, chars: Signs, files: Sequence[str], hint: str) -> Table:
    """Verification, files, warnings, and what to do next."""
    table = _notes()
    against = "the source" if report.cleaned else MASKED
    for found in report.verification.values():
        table.add_row(*_verification(found, chars, against))
    repaired = repair_text(report.repair)
    if repaired:
        table.add_row(Text(f"{chars.good} repaired", "green"), repaired.replace("→", chars.arrow))
    for text in training_lines(report.training):
        table.add_row(Text(f"{chars.good} trained", "green"), text.replace("→", chars.arrow))
    for text in (latency_text(report.latency), search_text(report.latency)):
        if text:
            table.add_row(f"{chars.dash} latency", text)
    for text in accuracy_lines(report.accuracy):
        table.add_row(f"{chars.dash} accuracy", text.replace("→", chars.arrow))
    path, nbytes = report.output["path"], report.output["bytes"]
    if report.output["written"]:
        table.add_row(Text(f"{chars.good} written", "green"), f"{printable(path)} ({size(nbytes)})")
    else:
        why = "it failed verification" if report.wrong else "dry run"
        table.add_row(Text(f"{chars.dash} not written", "yellow"), why)
    copy = report.quantization.get("output", {})
    if copy.get("written"):
        table.add_row(
            Text(f"{chars.good} written", "green"), f"{printable(copy['path'])} ({size(copy['bytes'])})"
        )
    for file in files:
        table.add_row(f"{chars.good} report", printable(file))
    for text in report.missed:
        table.add_row(Text(f"{chars.bad} missed", "bold red"), printable(text))
    for text in report.warnings:
        table.add_row(Text("! note", "yellow"), printable(text))
    if hint:
        table.add_row(Text(f"{chars.arrow} next", "dim"), Text(printable(hint), "dim"))
    return table


def _verification(found: Mapping[str, Any], chars: Signs, against: str) -> tuple[Text, str]:
    if not found["checked"]:
        return Text(f"{chars.dash} not verified", "yellow"), printable(found["reason"])
    error, tolerance, samples = found["max_relative_error"], found["tolerance"], found["samples"]
    inputs = plural(samples, "random input")
    if found["passed"] and not isfinite(tolerance):
        return Text(f"{chars.good} verified", "green"), f"gives outputs of the right form on {inputs}"
    if found["passed"]:
        text = f"equals {against} on {inputs}: error {tiny(error)}, {tiny(tolerance)} allowed"
        return Text(f"{chars.good} verified", "green"), text
    return Text(f"{chars.bad} wrong", "bold red"), printable(found["reason"])


def _cells(line: Line, names: int, cells: int, chars: Signs) -> tuple[Text, ...]:
    quiet = "" if line.status == "pruned" else "dim"
    left = share(*line.channels)
    return (
        Text(_name(line, names), quiet),
        Text(_op(line), "dim"),
        Text(_channels(line, chars), quiet),
        bar(left, cells, chars) if line.status == "pruned" else Text(chars.full * cells, "dim"),
        Text(percent(left) if line.status == "pruned" else line.status, quiet),
    )


def _name(line: Line, width: int) -> str:
    more = f" +{line.more}" if line.more else ""
    return shortened(line.name, max(8, width - len(more))) + more


def _op(line: Line) -> str:
    return shortened(line.op, 14)


def _channels(line: Line, chars: Signs) -> str:
    before, after = line.channels
    return f"{before}" if before == after else f"{before} {chars.arrow} {after}"


def show_verification(result: Mapping[str, Any], console: Console) -> None:
    """Print what a second look at a pruned model found.

    Args:
        result: as ``VerifyResult.to_dict`` gives it.
        console: where.
    """
    chars = signs(console)
    table = _notes()
    for found in result["verification"].values():
        table.add_row(*_verification(found, chars, MASKED))
    table.add_row(
        f"{chars.dash} cuts", f"{plural(result['tensors'], 'tensor')} of the source, as the report says"
    )
    for text in result["notes"]:
        table.add_row(Text("! note", "yellow"), printable(text))
    emit(console, [table])


def _notes() -> Table:
    """Two columns: a word, and what there is to say."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table
