"""A report as one page that needs nothing else: no network, no other file, no script."""

from __future__ import annotations

from onnxprune.report.html.page import html
from onnxprune.report.html.pareto import Measure, Point, pareto, pareto_page

__all__ = ["Measure", "Point", "html", "pareto", "pareto_page"]
