"""The picture of a scan."""

from __future__ import annotations

from pathlib import Path

import pytest
from scans import example

from onnxprune.pictures import FORMS
from onnxprune.sensitivity import Sensitivity
from onnxprune.sensitivity.plot import draw

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def found() -> Sensitivity:
    own = example(ratios=(0.5,))
    baseline, rows = own.scan.run(own.groups)
    return Sensitivity("accuracy", (0.5,), baseline, rows, {}, {"path": "model.onnx"})


@pytest.mark.parametrize("suffix", FORMS)
def test_equal_results_give_equal_pictures(found: Sensitivity, suffix: str) -> None:
    first, second = (draw(found, Path(f"curves{suffix}"), lambda row: row.group) for _ in range(2))
    assert first == second
    assert len(first) > 1000


def test_layers_are_named(found: Sensitivity) -> None:
    text = draw(found, Path("curves.svg"), lambda row: f"layer {row.group}").decode()
    assert "<svg" in text


def test_figures_without_bounds_are_left_out(found: Sensitivity) -> None:
    other = Sensitivity("sqnr", found.ratios, found.baseline, found.rows, {}, {"path": None})
    assert draw(other, Path("curves.png"), lambda row: row.group)
