"""A sweep as people and programs read it."""

from __future__ import annotations

import csv
import io

from page_reader import read_page
from reports import report
from rich.console import Console
from sweeps import swept

from onnxprune.report.html import html
from onnxprune.report.sweep_files import SWEEP_FORMS
from onnxprune.report.sweep_views import show_sweep


def shown(width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    show_sweep(swept(), console, files=["out/sweep.html"])
    return console.file.getvalue()


def test_the_table_marks_the_front() -> None:
    lines = [line.split() for line in shown(100).splitlines()]
    assert ["ratio", "criterion", "repair", "accuracy", "%", "latency", "MACs", "size"] in lines
    assert ["source", "95.00*", "1.00x*", "100", "%*", "4.00", "kB*"] in lines
    assert ["0.1", "model", "none", "90.00*", "0.90x*", "90", "%*", "3.60", "kB*"] in lines
    assert ["0.5", "l1", "lstsq", "80.00", "0.95x", "95", "%", "3.90", "kB"] in lines  # beaten
    assert ["0.9", "l1", "none", "failed"] in lines
    assert "6 results" not in shown(100)
    assert "5 results, 4 on the Pareto front" in shown(100)


def test_narrow_terminals_lose_nothing_but_space() -> None:
    assert all(len(line) <= 60 for line in shown(60).splitlines())
    assert "out of reach" in " ".join(shown(60).split())


def test_the_page_has_a_plot_for_each_cost_and_all_results() -> None:
    page = read_page(SWEEP_FORMS[".html"](swept("<b>x")))
    assert "<b>x.onnx" in page.one("h1").text
    assert len([svg for svg in page.all("svg") if svg.within("figure")]) == 3
    rows = [row.text for row in page.all("tr") if row.within("tbody")]
    assert sum("no result" in row for row in rows) == 1
    assert "out of reach" in page.one("main").text


def test_every_form_holds_every_row() -> None:
    found = swept()
    rows = list(csv.DictReader(io.StringIO(SWEEP_FORMS[".csv"](found))))
    assert [row["front"] for row in rows] == ["1", "1", "1", "1", "0", "0"]
    assert rows[1]["best_for"] == "latency macs bytes"
    assert rows[-1]["reason"] == "out of reach"
    assert SWEEP_FORMS[".md"](found).count("\n| ") == 1 + 1 + 6
    combined = SWEEP_FORMS[".md"](swept(layers=("a", "b")))
    assert "| a + b, ratio 0.1 model none | 90 | 90 % | **90.00** | 3.60 kB |" in combined


def test_quantised_copies_are_on_the_page_of_a_run() -> None:
    stages = {"before": {"accuracy": {"value": 0.9}}, "after": {"accuracy": {"value": 0.8}}}
    copies = {"source+int8": {"accuracy": {"value": 0.89}}, "pruned+int8": {"accuracy": {"value": 0.79}}}
    own = {"kind": "int8", "source_bytes": 500_000, "output": {"bytes": 125_000}, "accuracy": copies}
    page = read_page(html(report(quantization=own, accuracy={"stages": stages})))
    (section,) = page.all("section", **{"aria-labelledby": "quantized"})
    assert "pruned+int8" in section.text
    assert "125.0 kB" in section.text
    assert "79.00" in section.text
