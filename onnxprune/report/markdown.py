"""A pruning report as Markdown, for a pull request or a lab book."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from onnxprune.report.accuracy_lines import accuracy_lines
from onnxprune.report.document import Report, criteria_text, target_text
from onnxprune.report.figures import count, factor, percent, printable, share, size, tiny
from onnxprune.report.latency import latency_text, search_text
from onnxprune.report.quantization import comparison
from onnxprune.report.repair_text import repair_text
from onnxprune.report.rows import label
from onnxprune.report.training_text import asked_for, steps_table, training_lines

FIGURES = (
    ("Parameters", "params", count),
    ("MACs", "macs", count),
    ("File size", "bytes", size),
    ("Filters", "filters", count),
)
FEW = 40
"""Longer tables are folded: a pull request has other things to show."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def markdown(report: Report) -> str:
    """The whole report, every layer included, but for the single indices of the cuts."""
    parts = [
        f"# {_source(report)} pruned",
        _settings(report),
        _totals(report),
        "## Outcome\n\n" + "\n".join(f"- {line}" for line in _outcome(report)),
    ]
    if report.steps:
        head, *rows = steps_table(report)
        parts.append(f"## Steps\n\n{_table(head, rows, 'r' * len(head))}")
    if report.quantization:
        parts.append(f"## Quantised\n\n{_quantized(report)}")
    if report.layers:
        parts.append(f"## Layers\n\n{_folded(_layers(report), len(report.layers))}")
    return "\n\n".join(parts) + "\n"


def escaped(text: object) -> str:
    """A name out of a file that Markdown must take literally."""
    return _SPECIAL.sub(r"\\\1", printable(text))


def _source(report: Report) -> str:
    path = report.source["path"]
    return escaped(Path(path).name) if path else "A model in memory"


def _settings(report: Report) -> str:
    own = report.settings
    said = [f"`{target_text(own)}`", f"criterion {criteria_text(own)}", f"{own['scope']} scope"]
    said.append(f"aligned to {own['grid']}" if own["grid"] > 1 else "not aligned")
    said += asked_for(own)
    said.append(f"seed {own['seed']}")
    return f"onnxprune {own['version']}: " + ", ".join(said) + "."


def _totals(report: Report) -> str:
    rows = []
    for head, name, spell in FIGURES:
        before, after = report.totals[name]
        rows.append((head, spell(before), spell(after), percent(share(before, after)), factor(before, after)))
    return _table(("", "before", "after", "left", ""), rows, "lrrrl")


def _outcome(report: Report) -> Iterator[str]:
    for method, found in report.verification.items():
        name = method.replace("_", " ")
        if found["passed"]:
            yield (
                f"Verified: {name}, relative error {tiny(found['max_relative_error'])}, "
                f"{tiny(found['tolerance'])} allowed, on {found['samples']} random inputs."
            )
        else:
            yield f"**Not verified**: {name}: {escaped(found['reason'])}"
    if not report.verification:
        yield "Not verified (`--no-verify`)."
    repaired = repair_text(report.repair)
    if repaired:
        yield f"Repaired: {repaired}."
    yield from (f"Trained: {text}." for text in training_lines(report.training))
    yield from (f"Latency: {text}." for t in (latency_text, search_text) if (text := t(report.latency)))
    yield from (f"Accuracy: {escaped(text)}." for text in accuracy_lines(report.accuracy))
    output = report.output
    if output["written"]:
        yield f"Written: {escaped(output['path'])}, SHA-256 `{output['sha256']}`."
    else:
        yield "No model was written."
    for text in report.missed:
        yield f"**Missed**: {escaped(text)}"
    for text in report.warnings:
        yield f"Note: {escaped(text)}"


def _quantized(report: Report) -> str:
    head, *rows = comparison(report)
    return _table(head, rows, "l" + "r" * (len(head) - 1))


def _layers(report: Report) -> str:
    rows = (
        (
            escaped(label(row)),
            escaped(row.op),
            str(row.channels[0]),
            str(row.channels[1]),
            row.status,
            escaped(row.reason),
        )
        for row in report.layers
    )
    return _table(("layer", "op", "before", "after", "", "why not more"), rows, "llrrll")


def _folded(table: str, lines: int) -> str:
    """A long table behind a line to click on, where Markdown is shown with HTML."""
    if lines <= FEW:
        return table
    return f"<details>\n<summary>{lines:,} layers</summary>\n\n{table}\n\n</details>"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], sides: str) -> str:
    rule = ["---:" if side == "r" else "---" for side in sides]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))
