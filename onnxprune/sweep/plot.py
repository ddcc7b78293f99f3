"""The fronts of a sweep as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxprune.errors import UsageError
from onnxprune.evaluation import METRICS, Metric
from onnxprune.pictures import encoded, figure_class
from onnxprune.sweep.document import COSTS, PRECISIONS, Row, Sweep, is_plain

SCALES = {"latency": 1.0, "macs": 1e-6, "bytes": 1e-6}
AXES = {"latency": "latency, source = 1", "macs": "MACs, millions", "bytes": "size, MB"}
MARKERS = {"none": "o", "fp16": "s", "int8": "D"}


def draw(found: Sweep, path: Path) -> bytes:
    """The picture, equal for equal results: quality over each cost, the front as a line.

    Args:
        found: of a sweep.
        path: whose suffix says in which form.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: there is no result to draw.
    """
    if not found.done:
        raise UsageError("There is no result to draw.")
    costs = found.costs
    figure = figure_class()(figsize=(4.6 * len(costs) + 0.6, 4.4), layout="constrained")
    axes = figure.subplots(1, len(costs), squeeze=False, sharey=True)[0]
    metric = METRICS[found.metric]
    for own, cost in zip(axes, costs, strict=True):
        _panel(own, found, cost, metric)
    axes[0].set_ylabel(f"{metric.title} {metric.unit}".strip())
    axes[-1].legend(fontsize=8, loc="lower right")
    figure.suptitle(f"{found.source.get('path') or 'model'}, {found.samples} samples", fontsize=10)
    return encoded(figure, path)


def _panel(axes: Any, found: Sweep, cost: str, metric: Metric) -> None:
    def place(row: Row) -> tuple[float, float]:
        return (row.cost(cost) or 0.0) * SCALES[cost], metric.points(row.quality(found.metric))

    best = sorted(place(row) for row in found.done if cost in row.best_for)
    if best:
        axes.plot(*zip(*best, strict=True), "-", color="tab:blue", lw=1.2, drawstyle="steps-post", zorder=1)
    for kind in dict.fromkeys(row.config.quantize for row in found.done):
        label: str | None = PRECISIONS.get(kind, kind)
        for on in (True, False):
            rows = [r for r in found.done if r.config.quantize == kind and (cost in r.best_for) is on]
            points = [place(row) for row in rows if not is_plain(row)]
            if points:
                x, y = zip(*points, strict=True)
                colour = "tab:blue" if on else "0.65"
                axes.scatter(x, y, marker=MARKERS.get(kind, "o"), s=26, color=colour, label=label, zorder=2)
                label = None
    for row in filter(is_plain, found.done):
        axes.scatter(*place(row), marker="*", s=110, color="tab:red", label="source", zorder=3)
    axes.set_xlabel(AXES[cost])
    axes.set_title(f"{metric.title} over {COSTS[cost]}", fontsize=10)
    axes.grid(alpha=0.3)
