"""The curves of a scan as a picture."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path

from onnxprune.evaluation import METRICS
from onnxprune.pictures import encoded, figure_class
from onnxprune.sensitivity.document import Row, Sensitivity

FEW = 12
"""Groups up to which every curve has an entry in the legend; beyond, colours run from input to output."""


def draw(found: Sensitivity, path: Path, name: Callable[[Row], str]) -> bytes:
    """The picture, equal for equal results.

    Args:
        found: of a scan.
        path: whose suffix says in which form.
        name: what a row is called.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    import matplotlib as mpl

    figure = figure_class()(figsize=(9, 5.5), layout="constrained")
    axes = figure.add_subplot()
    metric = METRICS[found.metric]
    colours = mpl.colormaps["tab20" if len(found.rows) <= FEW else "viridis"]
    for place, row in enumerate(found.rows):
        shares, values = _line(found, row)
        colour = colours(place if len(found.rows) <= FEW else place / max(1, len(found.rows) - 1))
        label = name(row) if len(found.rows) <= FEW or place in (0, len(found.rows) - 1) else None
        axes.plot(shares, values, "o-", color=colour, label=label, ms=3, lw=1.3)
    axes.set_xlabel("channels removed from this layer alone, %")
    axes.set_ylabel(f"{metric.title} {metric.unit}".strip())
    axes.set_title(f"{found.source.get('path') or 'model'}, {found.baseline.samples} samples", fontsize=10)
    axes.grid(alpha=0.3)
    if found.rows:
        axes.legend(fontsize=8)
    return encoded(figure, path)


def _line(found: Sensitivity, row: Row) -> tuple[list[float], list[float]]:
    """Percent of the channels removed, and the metric in points; what is infinite has no place."""
    metric = METRICS[found.metric]
    points = [(0.0, found.baseline[found.metric])]
    points += [(1 - own.kept / row.channels, own.figures[found.metric].value) for own in row.points]
    finite = [(100 * share, metric.points(value)) for share, value in points if isfinite(value)]
    return [share for share, _ in finite], [value for _, value in finite]
