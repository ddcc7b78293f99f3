"""Reports on the terminal and as Markdown."""

from __future__ import annotations

import io
from dataclasses import replace
from math import inf

import pytest
from reports import VERIFIED, layer, report
from rich.console import Console

from onnxprune.report import Report
from onnxprune.report.markdown import markdown
from onnxprune.report.rows import SCREEN, label, listing
from onnxprune.report.terminal import show


def shown(own: Report, *, columns: int = 80, encoding: str = "utf-8", **more: object) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    show(own, Console(file=stream, width=columns), **more)
    stream.seek(0)
    return stream.read()


def test_figures_before_and_after() -> None:
    text = shown(report())
    rows = {line.split("  ")[1]: line.split() for line in text.splitlines() if "smaller" in line}
    assert rows["parameters"][1:7] == ["1.00", "M", "250.0", "k", "25", "%"]
    assert rows["MACs"][-2:] == ["2.03x", "smaller"]
    assert set(rows) == {"parameters", "MACs", "file size", "filters"}


@pytest.mark.parametrize("columns", [60, 80, 120, 300])
def test_lines_fit_and_do_not_end_in_blanks(columns: int) -> None:
    rows = [layer("a.very.long.name.of.a.layer" * 4), layer("b", 2048, 1024, op="ConvTranspose")]
    for line in shown(report(*rows), columns=columns, hint="do this " * 30).splitlines():
        assert len(line) <= min(columns, 120)
        assert line == line.rstrip()


def test_an_ascii_terminal_gets_ascii() -> None:
    assert shown(report(), encoding="ascii").isascii()


def test_layers_left_alone_are_grouped_by_reason() -> None:
    alone = [layer(f"conv{i}", 8, 8, reason="because") for i in range(6)]
    text = shown(report(layer("first"), *alone))
    assert "6 of 7 layers kept all channels" in text
    assert "conv0, conv1, conv2, conv3 and 2 more: because" in text


def test_layers_of_one_group_share_a_line_in_long_models() -> None:
    rows = [layer(f"block.{i}.conv", groups=("stream",)) for i in range(60)]
    lines = listing(rows).head
    assert [(line.name, line.more) for line in lines] == [("block.0.conv", 59)]
    assert len(listing(rows, limit=None).head) == 60


def test_very_long_models_lose_their_middle() -> None:
    rows = [layer(f"block.{i}.conv") for i in range(100)]
    found = listing(rows)
    assert len(found.head) + len(found.tail) + 1 == SCREEN
    assert found.left_out + len(found.head) + len(found.tail) == 100
    assert (found.head[0].name, found.tail[-1].name) == ("block.0.conv", "block.99.conv")
    assert "-v shows all" in shown(report(*rows))
    assert "-v shows all" not in shown(report(*rows), verbose=1)


@pytest.mark.parametrize(
    ("name", "weight", "said"),
    [
        ("node_Conv_373", "layer1.0.conv1.weight", "layer1.0.conv1.weight"),
        ("/layer1/conv1/Conv", "onnx::Conv_193", "/layer1/conv1/Conv"),
        ("Conv_12", "onnx::Conv_193", "Conv_12"),
        ("conv1", "conv1.weight", "conv1"),
        ("17", "features.0.weight", "features.0.weight"),
    ],
)
def test_a_layer_is_called_by_the_name_that_says_more(name: str, weight: str, said: str) -> None:
    assert label(layer(name, weight=weight)) == said


FAILED = {**VERIFIED, "max_relative_error": inf, "passed": False, "reason": "output 'y': it differs"}
UNCHECKED = {**VERIFIED, "checked": False, "max_relative_error": 0.0, "passed": False, "reason": "no inputs"}


@pytest.mark.parametrize("view", [shown, markdown])
def test_outcomes(view: object) -> None:
    assert callable(view)
    good = view(report())
    assert "erified" in good
    assert "3e-7" in good
    wrong = report(verification={"masked_equivalence": FAILED}, missed=("verification: it differs",))
    assert wrong.wrong == "output 'y': it differs"
    assert "it differs" in view(wrong)
    unchecked = report(verification={"masked_equivalence": UNCHECKED})
    assert unchecked.wrong == ""
    assert "no inputs" in view(unchecked)
    dry = report(output={**report().output, "written": False}, warnings=("mind\x07 this",))
    assert "mind\\x07 this" in view(dry).replace("\\\\", "\\")


def test_markdown_is_a_table_whatever_the_names() -> None:
    own = report(layer("a|b`c\n*d*", reason="<b>[x](y)"))
    rows = [line for line in markdown(own).splitlines() if line.startswith("| a")]
    assert rows == ["| a\\|b\\`c\\\\n\\*d\\* | Conv | 64 | 32 | pruned | \\<b\\>\\[x\\](y) |"]


def test_long_tables_are_folded_in_markdown() -> None:
    rows = [layer(f"conv{i}") for i in range(41)]
    assert "<details>\n<summary>41 layers</summary>\n\n| layer |" in markdown(report(*rows))
    assert "<details>" not in markdown(report(*rows[:40]))
    assert sum("| conv" in line for line in markdown(report(*rows)).splitlines()) == 41


def test_a_model_in_memory_has_no_path() -> None:
    own = report(source={**report().source, "path": None})
    assert "model in memory" in shown(own)
    assert "model in memory" in markdown(own)


def test_untouched_layers_are_those_that_are_marked() -> None:
    marked = replace(layer("x", 8, 8), untouched=True)
    assert report(layer("first"), marked).untouched == (marked,)
