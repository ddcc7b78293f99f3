"""Groups and histograms of scores in the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onnxprune
from onnxprune.report import Report, scores
from onnxprune.report.scores import histogram

FIXTURES = Path(__file__).parents[2] / "fixtures"


def drawn(values: list[float], kept: list[int]) -> scores.Histogram:
    own = np.array(values)
    stays = np.zeros(len(own), dtype=bool)
    stays[kept] = True
    return histogram(own, stays)


@pytest.fixture(scope="module")
def report() -> Report:
    return onnxprune.prune(FIXTURES / "resnet_fashion.onnx", ratio=0.4, align="off", verify=False).report


def test_units_are_counted_in_bins_of_equal_width() -> None:
    found = drawn([0, 1, 2, 3, 4, 5, 6, 8], [4, 5, 6, 7])
    assert (found.low, found.high, found.threshold) == (0, 8, 3.5)
    assert found.removed == (2, 1, 1, 0, 0, 0)
    assert found.kept == (0, 0, 0, 2, 1, 1)


@pytest.mark.parametrize(
    ("values", "kept", "threshold"),
    [
        ([1, 2, 3, 4], [2, 3], 2.5),
        ([1, 2, 2, 3], [2, 3], 2),  # a tie across the cut
        ([1, 2, 3, 4], [0, 3], None),  # something else decided
        ([1, 2, 3, 4], [0, 1, 2, 3], None),
    ],
)
def test_the_threshold_lies_between_what_went_and_what_stayed(
    values: list[float], kept: list[int], threshold: float | None
) -> None:
    assert drawn(values, kept).threshold == threshold


@pytest.mark.parametrize(
    "values",
    [[3.0, 3.0, 3.0], [-1e308, 0.0, 1e308], [0.0, 5e-324, 1.0], [7.0], [5e-324, 0.0]],
    ids=["equal", "huge", "denormal", "one", "least"],
)
def test_no_unit_is_lost_whatever_the_scores(values: list[float]) -> None:
    found = drawn(values, [0])
    assert sum(found.kept) == 1
    assert sum(found.removed) == len(values) - 1
    assert np.isfinite([found.low, found.high]).all()


def test_histograms_stay_small() -> None:
    found = drawn(list(np.random.default_rng(0).normal(size=10_000)), list(range(10)))
    assert len(found.kept) == len(found.removed) == scores.MOST_BINS


def test_units_that_another_criterion_removed_are_only_counted() -> None:
    found = onnxprune.prune(
        FIXTURES / "vgg_fashion.onnx", ratio=0.4, criterion="l2", then="l1", align="off", verify=False
    ).report
    sizes = {group.name: group.channels for group in found.groups}
    assert any(own.others for own in found.scores.values())
    for name, own in found.scores.items():
        assert (sum(own.kept) + sum(own.removed) + own.others, sum(own.kept)) == sizes[name]


def test_scores_and_groups_say_the_same(report: Report) -> None:
    sizes = {group.name: group.channels for group in report.groups}
    assert report.scores
    for name, own in report.scores.items():
        assert (sum(own.kept) + sum(own.removed), sum(own.kept)) == sizes[name]
        assert own.threshold is not None
        assert own.low <= own.threshold <= own.high


def test_greedy_scores_are_those_that_decided() -> None:
    found = onnxprune.prune(FIXTURES / "vgg_fashion.onnx", ratio=0.4, scoring="greedy", verify=False).report
    assert all(own.threshold is not None for own in found.scores.values() if any(own.removed))


def test_a_clean_up_has_no_scores() -> None:
    assert not onnxprune.prune(FIXTURES / "mlp_fashion.onnx", ratio=0, verify=False).report.scores


def test_groups_name_who_computes_and_who_reads(report: Report) -> None:
    rows = {row.name: row for row in report.layers}
    for group in report.groups:
        for layer in group.members["filter"]:
            assert group.name in rows[layer].groups
            assert rows[layer].channels[1] <= rows[layer].channels[0]
    stream = next(g for g in report.groups if g.name == "/stem/conv/Conv")
    assert stream.members["filter"] == ("/stem/conv/Conv", "/block1/second/conv/Conv")
    assert "/block2a/first/conv/Conv" in stream.members["input"]
    assert "/stem/norm/BatchNormalization" in stream.members["scale"]


def test_a_group_left_whole_says_why() -> None:
    found = onnxprune.prune(FIXTURES / "vgg_fashion.onnx", ratio=0.4, exclude="block1a*", verify=False).report
    whole = [group for group in found.groups if group.channels[0] == group.channels[1]]
    assert whole
    assert all(group.reason for group in whole)


def test_versions_are_those_of_the_libraries(report: Report) -> None:
    import onnx

    assert report.versions["onnxprune"] == onnxprune.__version__
    assert report.versions["onnx"] == onnx.__version__
    assert {"python", "numpy", "onnxruntime"} <= set(report.versions)
