"""The curves of a scan as a picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

from onnxprune.errors import MissingExtraError
from onnxprune.evaluation import METRICS
from onnxprune.sensitivity.document import Row, Sensitivity

FORMS = (".png", ".svg", ".pdf")
"""Suffixes of pictures."""

FEW = 12
"""Groups up to which every curve has an entry in the legend; beyond, colours run from input to output."""

_SALT = "onnxprune"


def check_plots() -> None:
    """Refuse to plot where that cannot be done, before anything is measured.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    _figure()


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

    figure = _figure()(figsize=(9, 5.5), layout="constrained")
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
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": _SALT}):
        figure.savefig(buffer, format=path.suffix.lower()[1:], dpi=150, metadata=_undated(path))
    return buffer.getvalue()


def _line(found: Sensitivity, row: Row) -> tuple[list[float], list[float]]:
    """Percent of the channels removed, and the metric in points; what is infinite has no place."""
    metric = METRICS[found.metric]
    points = [(0.0, found.baseline[found.metric])]
    points += [(1 - own.kept / row.channels, own.figures[found.metric].value) for own in row.points]
    finite = [(100 * share, metric.points(value)) for share, value in points if isfinite(value)]
    return [share for share, _ in finite], [value for _, value in finite]


def _undated(path: Path) -> dict[str, None]:
    """What takes the time of day out of the file."""
    return {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower(), {})


def _figure() -> Any:
    """The class of figures, which needs no screen."""
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise MissingExtraError(
            "A plot needs matplotlib, which is not installed.", hint='pip install "onnxprune[plots]"'
        ) from exc
    return Figure
