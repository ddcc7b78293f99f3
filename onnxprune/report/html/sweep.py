"""The results of a sweep as a page: a plot for each cost, and all of them as a table."""

from __future__ import annotations

from pathlib import Path

from onnxprune.evaluation import METRICS
from onnxprune.report.figures import size
from onnxprune.report.html.page import render
from onnxprune.report.html.pareto import Measure, Point, pareto
from onnxprune.report.html.scales import MetricScale
from onnxprune.report.sweep_cells import about, combinations_of, headline, table_of
from onnxprune.sweep import Sweep
from onnxprune.sweep.document import COSTS as NAMES
from onnxprune.sweep.document import is_plain

COSTS = {
    "latency": Measure("Latency, share of the source's", lambda value: f"{value:.2f}x", rises=False),
    "macs": Measure("MACs, share of the source's", lambda value: f"{100 * value:.0f} %", rises=False),
    "bytes": Measure("File size", size, rises=False),
}
"""The horizontal axes."""


def sweep_page(found: Sweep) -> str:
    """The whole sweep as one page; equal results give equal pages."""
    metric = METRICS[found.metric]
    scale = MetricScale(metric)
    quality = Measure(
        scale.title, lambda points: f"{points:.4g} {metric.unit}".strip(), metric.loss(1.0) < metric.loss(0.0)
    )
    whole = float(found.rows[0].outcome["macs"]) or 1.0
    table = table_of(found)
    plots = []
    for name in found.costs:
        unit = whole if name == "macs" else 1.0
        points = [
            Point(
                row.config.title,
                (row.cost(name) or 0.0) / unit,
                metric.points(row.quality(found.metric)),
                source=is_plain(row),
            )
            for row in found.done
        ]
        plots.append(pareto(points, COSTS[name], quality, title=f"{scale.title} over {NAMES[name]}"))
    path = found.source["path"]
    return render(
        "sweep.html.j2",
        title=Path(path).name if path else "model in memory",
        version=found.settings["version"],
        asked=headline(found),
        plots=plots,
        table=table,
        combined=combinations_of(found),
        about=about(found, table.same),
        failed=found.failed,
        notes=found.notes,
        facts=tuple(_facts(found)),
    )


def _facts(found: Sweep) -> list[tuple[str, str]]:
    told = {
        "file": found.source["path"] or "model in memory",
        "SHA-256": found.source["sha256"],
        "models": found.folder,
    }
    settings = {name.replace("_", " "): value for name, value in found.settings.items()}
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in {**told, **settings}.items()
        if value not in (None, "", [])
    ]
