"""The pieces of pages: axes, maps, measured figures read out of free forms, Pareto plots."""

from __future__ import annotations

import re
from math import inf, nan
from typing import Any

import pytest
from page_reader import read_page
from reports import layer

from onnxprune.report.groups import GroupAccount
from onnxprune.report.html import Measure, Point, pareto, pareto_page
from onnxprune.report.html.axis import axis
from onnxprune.report.html.groups import brief, group_lines, group_map
from onnxprune.report.html.layers import skyline
from onnxprune.report.html.measured import accuracy, latency
from onnxprune.report.html.pareto import front

MACS = Measure("MACs", "{:g} M".format, rises=False)
SPEED = Measure("speed-up", "{:g}x".format, rises=True)
TOP1 = Measure("accuracy", "{:g} %".format, rises=True)
LOSS = Measure("loss", "{:g}".format, rises=False)


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([0, 9.7], (0, 2.5, 5, 7.5, 10)),
        ([71.2, 93.5], (70, 80, 90, 100)),
        ([0.5, 0.5], (0.45, 0.475, 0.5, 0.525, 0.55)),
        ([], (-1, -0.5, 0, 0.5, 1)),
        ([nan, inf, 3, 5], (3, 3.5, 4, 4.5, 5)),
        ([-1e308, 1e308], None),
        ([1e-300, 2e-300], None),
    ],
)
def test_axes_mark_round_numbers_and_hold_all_values(
    values: list[float], marks: tuple[float, ...] | None
) -> None:
    own = axis(values)
    assert marks is None or own.marks == pytest.approx(marks)
    assert all(0 <= own.place(value) <= 100 for value in (*values, *own.marks) if abs(value) < inf)
    assert own.low < own.high


def test_the_classes_of_a_classifier_do_not_press_the_other_layers_down() -> None:
    rows = [layer("a", 64, 32), layer("b", 128, 128), layer("fc", 1000, 1000, status="pinned")]
    own = skyline(rows)
    assert own.axis.high == 128
    assert own.breaks == "M2 17L3 9"
    assert own.before == "M0.1 100V50h0.8V100z"
    assert own.after == "M0.1 100V75h0.8V100z"


def test_a_map_has_a_dot_for_filters_and_a_ring_for_readers() -> None:
    rows = [layer("a"), layer("b"), layer("c")]
    groups = [
        GroupAccount("a", (64, 32), "", {"filter": ("a",), "input": ("b", "c"), "scale": ("norm",)}),
        GroupAccount("b", (64, 64), "held", {"filter": ("b",)}),
        GroupAccount("nowhere", (2, 2), "held", {"other": ("constant",)}),
    ]
    lines = group_lines(groups, rows)
    own = group_map(lines, rows)
    assert [row.label for row in own.rows] == ["a", "b"]
    assert own.filters == "M13 9h0"
    assert own.readers == "M39 9h0M65 9h0"
    assert own.lines == "M13 9H65"
    assert own.whole_filters == "M39 27h0"
    assert [(m.words, m.labels) for m in lines[0].members] == [
        ("filters of", ("a",)),
        ("read by", ("b", "c")),
        ("also in", ("norm",)),
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/features/features.7/conv/conv.0/conv.0.0/Conv", "features.7/conv.0.0"),
        ("/layer1/layer1.0/conv1/Conv", "layer1.0/conv1"),
        ("/attn/MatMul#2", "attn#2"),
        ("/attn/MatMul_3", "attn/MatMul_3"),
        ("Conv", "Conv"),
        ("layer1.0.conv1.weight", "layer1.0.conv1.weight"),
        ("///", "///"),
    ],
)
def test_brief_names_leave_out_what_exporters_repeat(name: str, said: str) -> None:
    assert brief(name, {"Conv", "MatMul"}) == said


FIGURE = {"value": 0.92, "interval": [0.9, 0.94]}
WORSE = {"value": 0.62, "interval": [0.6, 0.64]}


@pytest.mark.parametrize(
    "section",
    [
        {"before": 0.92, "after_cut": 0.62},
        {"before": {"accuracy": 0.92}, "after_cut": {"accuracy": 0.62}},
        {"before": {"accuracy": FIGURE}, "after_cut": {"accuracy": WORSE}},
        {"before": {"metrics": {"accuracy": FIGURE}}, "after_cut": {"metrics": {"accuracy": WORSE}}},
        {
            "stages": [
                {"stage": "before", "metrics": {"accuracy": FIGURE}},
                {"stage": "after_cut", "metrics": {"accuracy": WORSE}},
            ]
        },
    ],
)
def test_accuracy_is_read_in_every_form(section: dict[str, Any]) -> None:
    (chart,) = accuracy(section).charts
    assert chart.title == "Accuracy"
    assert [(row.title, row.value, row.change, row.good) for row in chart.rows] == [
        ("source", "92.00 %", "", None),
        ("after the cut", "62.00 %", "−30", False),
    ]


def test_intervals_are_drawn_where_they_are_known() -> None:
    (chart,) = accuracy({"before": {"accuracy": FIGURE}, "after": {"accuracy": 0.5}}).charts
    first, second = chart.rows
    assert first.interval == "90.00 % – 94.00 %"
    assert first.low is not None
    assert second.low is None


def test_a_fall_of_a_loss_is_good_and_of_an_unknown_figure_nobody_knows() -> None:
    found = accuracy({"before": {"log_loss": 1.0, "own": 1.0}, "after": {"log_loss": 0.5, "own": 0.5}})
    loss, own = found.charts
    assert (loss.rows[1].change, loss.rows[1].good) == ("−0.5", True)
    assert (own.rows[1].change, own.rows[1].good) == ("−0.5", None)


@pytest.mark.parametrize("value", [inf, -inf, nan])
def test_figures_without_a_bound_have_no_dot(value: float) -> None:
    (chart,) = accuracy({"before": {"sqnr": value}, "after": {"sqnr": 10.0}}).charts
    assert [row.at is None for row in chart.rows] == [True, False]
    assert chart.rows[1].change == ""


@pytest.mark.parametrize(
    "section",
    [
        {"source": {"median_ms": 4.0, "p95_ms": 5.0, "min_ms": 3.0}, "pruned": {"median_ms": 2.0}},
        {"source": {"mean": 4.0, "low": 3.0, "high": 5.0}, "pruned": {"mean": 2.0}, "threads": 1},
        {"models": [{"name": "source", "p50_ms": 4.0}, {"name": "pruned", "p50_ms": 2.0}]},
        {"source": 4.0, "pruned": 2.0},
    ],
)
def test_latency_is_read_in_every_form(section: dict[str, Any]) -> None:
    found = latency(section)
    (chart,) = found.charts
    assert [(row.title, row.value, row.change) for row in chart.rows] == [
        ("source", "4 ms", ""),
        ("pruned", "2 ms", "2.00x faster"),
    ]
    assert found.facts == ((("threads", "1"),) if "threads" in section else ())


def test_a_benchmark_has_a_chart_for_each_setting() -> None:
    def model(name: str, p50: float, **more: Any) -> dict[str, Any]:
        ends = [p50 - 0.1, p50 + 0.1]
        return {
            "model": name,
            "batch": 1,
            "p50_ms": p50,
            "p50_interval_ms": ends,
            "samples_ms": [p50] * 9,
            **more,
        }

    pruned = model("b.onnx", 3.95, ratio=0.99, verdict="within noise")
    settings = [
        {"threads": 1, "provider": "cpu", "models": [model("a.onnx", 4.0), pruned]},
        {
            "threads": 2,
            "provider": "cpu",
            "models": [model("a.onnx", 3.0), model("b.onnx", 1.5, verdict="faster")],
        },
    ]
    found = latency(
        {"machine": {"processor": "x", "isa": []}, "models": [{"model": "a.onnx"}], "results": settings}
    )
    assert [chart.title for chart in found.charts] == [
        "threads 1, provider cpu, batch 1",
        "threads 2, provider cpu, batch 1",
    ]
    first, second = (chart.rows[1] for chart in found.charts)
    assert (first.title, first.change, first.good, len(first.ticks)) == ("b.onnx", "within noise", None, 9)
    assert (second.change, second.good, second.interval) == ("2.00x faster", True, "1.4 ms – 1.6 ms")
    assert found.charts[0].interval == "95 % interval"
    assert found.facts == (("processor", "x"),)


def test_what_a_run_measures_is_drawn_with_its_verdict() -> None:
    found = latency(
        {
            "models": {"source": {"p50_ms": 4.0}, "pruned": {"p50_ms": 3.99}},
            "ratio": 0.998,
            "ratio_interval": [0.99, 1.01],
            "verdict": "within noise",
            "threads": 1,
        }
    )
    assert found.charts[0].rows[1].change == "within noise"
    assert dict(found.facts)["ratio interval"] == "0.99 – 1.01"


def test_single_measurements_are_drawn() -> None:
    (chart,) = latency({"source": {"median_us": 2.0, "samples_us": [1.0, 2.0, 3.0]}}).charts
    assert chart.rows[0].value == "2 µs"
    assert len(chart.rows[0].ticks) == 3


@pytest.mark.parametrize("section", [{}, {"a": None}, {"a": {}}, {"a": {"b": "text"}}, {"a": [1, "x"]}])
def test_what_is_no_figure_is_no_chart(section: dict[str, Any]) -> None:
    assert accuracy(section).charts == ()
    assert latency(section).charts == ()


POINTS = [Point("a", 1, 50), Point("b", 2, 70), Point("c", 3, 60), Point("d", 4, 90), Point("e", 4, 80)]


@pytest.mark.parametrize(
    ("cost", "quality", "best"),
    [
        (MACS, TOP1, "abd"),
        (SPEED, TOP1, "d"),
        (MACS, LOSS, "a"),
        (SPEED, LOSS, "eca"),
    ],
)
def test_the_front_holds_what_no_other_beats(cost: Measure, quality: Measure, best: str) -> None:
    assert "".join(point.name for point in front(POINTS, cost, quality)) == best


def test_a_plot_lists_its_points_as_a_table() -> None:
    points = [*POINTS, Point("<none>", nan, 1), Point("<b>", 5, 91, source=True)]
    plot = pareto(points, MACS, TOP1, title="Accuracy over MACs")
    text = pareto_page([plot, plot], title="sweep of <x>", about="6 models", version="1")
    page = read_page(text)
    assert "sweep of <x>" in page.one("h1").text
    rows = [row.text for row in page.all("tr") if row.within("tbody")][:6]
    assert [re.sub(r"\s", "", row) for row in rows][-1] == "6<b>5M91%source"
    assert sum("best for its cost" in row for row in rows) == 3
    assert "<none>" not in page.one("body").text


def test_a_plot_of_nothing_is_a_plot() -> None:
    assert "<svg" in pareto([], MACS, TOP1, title="nothing")
