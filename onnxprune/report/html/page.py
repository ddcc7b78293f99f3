"""From a report to a page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from onnxprune.report import figures
from onnxprune.report.document import Report, criteria_text, target_text
from onnxprune.report.html import escape
from onnxprune.report.html.cards import cards
from onnxprune.report.html.groups import group_lines, group_map
from onnxprune.report.html.histograms import bars, shown_first
from onnxprune.report.html.layers import layer_lines, reasons, skyline
from onnxprune.report.html.measured import accuracy, latency
from onnxprune.report.html.outcome import outcome
from onnxprune.report.html.provenance import provenance
from onnxprune.report.html.repair import repair
from onnxprune.report.html.training import training
from onnxprune.report.quantization import comparison
from onnxprune.report.training_text import asked_for

FEW = 40
"""Tables with more lines than this are folded when the page opens."""


def html(report: Report) -> str:
    """The whole report as one page; equal reports give equal pages."""
    numbers = {group.name: number for number, group in enumerate(report.groups, start=1)}
    groups = group_lines(report.groups, report.layers)
    criteria = [str(stage["name"]) for stage in report.settings.get("criteria", ())]
    lines = layer_lines(report.layers, numbers, criteria)
    histograms = bars(groups, report.scores)
    return render(
        "report.html.j2",
        title=_title(report),
        asked=_asked(report.settings),
        version=report.settings["version"],
        cards=cards(report.totals),
        outcome=outcome(report),
        accuracy=accuracy(report.accuracy),
        latency=latency(report.latency),
        quantized=comparison(report),
        repair=repair(report.repair, report.layers),
        training=training(report),
        layers=lines,
        skyline=skyline(report.layers),
        reasons=reasons(lines),
        histograms=histograms,
        groups=groups,
        map=group_map(groups, report.layers),
        provenance=provenance(report),
        first=shown_first(histograms),
        few=FEW,
    )


def render(template: str, **values: Any) -> str:
    """A page from a template; style and script are the same on all."""
    script = _static("page.js")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    page = _environment().get_template(template)
    return page.render(values, style=_static("page.css"), script=script, digest=f"sha256-{digest}")


def fragment(template: str, **values: Any) -> Markup:
    """A piece of a page."""
    return Markup(_environment().get_template(template).render(values))


def _title(report: Report) -> str:
    path = report.source["path"]
    return Path(path).name if path else "model in memory"


def _asked(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """What was asked for, in a few words each."""
    own = [target_text(settings), f"criterion {criteria_text(settings)}", f"{settings['scope']} scope"]
    if settings["scoring"] != "independent":
        own.append(f"{settings['scoring']} scoring")
    own.append(f"aligned to {settings['grid']}" if settings["grid"] > 1 else "not aligned")
    return (*own, *asked_for(settings))


@cache
def _environment() -> Environment:
    own = Environment(
        loader=PackageLoader("onnxprune.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=escape.shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own.filters |= {
        "name": escape.name,
        "decimal": escape.decimal,
        "percent": figures.percent,
        "plural": figures.plural,
        "thousands": "{:,}".format,
    }
    return own


@cache
def _static(name: str) -> Markup:
    """A file beside the templates that goes into the page as it is."""
    loader = _environment().loader
    assert loader is not None
    return Markup(loader.get_source(_environment(), name)[0])
