"""The accuracy of a run, and a bound on its loss, from Python."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from small_networks import network

import onnxprune
from onnxprune.api.holding import held_back
from onnxprune.errors import UsageError

IMAGES = np.random.default_rng(1).standard_normal((300, 3, 8, 8)).astype(np.float32)
PLAIN = {"criterion": "l1", "repair": "none", "align": "off", "threads": 1}


def labels() -> np.ndarray:
    """What the network says."""
    session = ort.InferenceSession(network().SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": IMAGES})[0].argmax(axis=1)


SHARES = [
    # total, count, wanted: held back
    (1512, 512, 1000, 1000),
    (1000, 512, 1000, 488),
    (512, 512, 1000, 102),
    (100, None, 1000, 20),
    (100, None, 5, 5),
    (4, 512, 1000, 0),
    (1512, 512, 0, 0),
]


@pytest.mark.parametrize(("total", "count", "wanted", "back"), SHARES)
def test_how_many_are_held_back(total: int, count: int | None, wanted: int, back: int) -> None:
    assert held_back(total, count, wanted) == back


def test_stages_with_labels() -> None:
    result = onnxprune.prune(network(), ratio=0.5, data=(IMAGES, labels()), samples=100, **PLAIN)
    found = result.report.accuracy
    assert found["samples"] == 200
    assert found["stages"]["before"]["accuracy"]["value"] == 1
    after = found["stages"]["after"]
    assert after["accuracy"]["value"] == after["agreement"]["value"] < 1
    low, high = after["accuracy"]["interval"]
    assert low < after["accuracy"]["value"] < high


def test_stages_with_a_repair() -> None:
    given = {**PLAIN, "repair": "bias"}
    result = onnxprune.prune(network(), ratio=0.5, data=IMAGES, samples=100, **given)
    assert list(result.report.accuracy["stages"]) == ["after_cut", "after_repair"]
    assert set(result.report.accuracy["stages"]["after_cut"]) == {"agreement", "sqnr"}


def test_nothing_is_measured_without_samples_that_are_left() -> None:
    for given in ({}, {"data": IMAGES, "holdout": 0}):
        assert onnxprune.prune(network(), ratio=0.5, **given, **PLAIN).report.accuracy == {}


def test_labels_of_something_else_do_not_stop_a_run() -> None:
    samples = onnxprune.ArraySamples({"image": IMAGES}, np.full(300, 99))
    report = onnxprune.prune(network(), ratio=0.5, data=samples, **PLAIN).report
    assert "99" in report.accuracy["reason"]
    assert any("not measured" in text for text in report.warnings)


@pytest.mark.parametrize("criterion", ["l1", "random", "apoz"])
def test_a_bound_holds_by_every_criterion(criterion: str) -> None:
    given = {**PLAIN, "criterion": criterion}
    result = onnxprune.prune(network(), max_drop=60, data=(IMAGES, labels()), samples=150, **given)
    bound = result.report.accuracy["max_drop"]
    assert 0 < bound["drop"] <= 60
    assert (bound["metric"], bound["samples"]) == ("accuracy", 150)
    before, after = result.report.totals["macs"]
    assert after < before
    assert result.report.missed == ()


def test_a_wider_bound_removes_more() -> None:
    left = [
        onnxprune.prune(network(), max_drop=points, data=(IMAGES, labels()), **PLAIN).report.totals["macs"][1]
        for points in (5, 60)
    ]
    assert left[1] < left[0]


def test_nothing_goes_where_everything_costs_too_much() -> None:
    result = onnxprune.prune(network(), max_drop=1, data=(IMAGES, labels()), samples=150, **PLAIN)
    bound = result.report.accuracy["max_drop"]
    assert (bound["drop"], bound["drop_held_back"]) == (0, 0)
    assert result.report.totals["macs"][0] == result.report.totals["macs"][1]
    assert "would cost more" in result.report.layers[0].reason
    assert result.report.missed == ()


def test_layers_that_are_left_alone_stay_whole() -> None:
    result = onnxprune.prune(
        network(), max_drop=40, data=(IMAGES, labels()), exclude="conv1", layer_ratio={"conv2": 0.25}, **PLAIN
    )
    channels = {row.name: row.channels for row in result.report.layers}
    assert channels["conv1"] == (32, 32)
    assert channels["conv2"] == (64, 48)


def test_equal_runs_give_equal_models() -> None:
    given = {"max_drop": 30, "data": (IMAGES, labels()), "samples": 120, **PLAIN}
    first, second = (onnxprune.prune(network(), **given) for _ in range(2))
    assert first.model.to_proto().SerializeToString() == second.model.to_proto().SerializeToString()
    assert first.report.to_dict() == second.report.to_dict()


def test_sensitivity_takes_pipelines_and_counts_what_they_keep() -> None:
    found = onnxprune.measure_sensitivity(
        network(),
        (IMAGES, labels()),
        ratios=[0.5, 0.25, 0.5],
        criterion=["l2", "apoz"],
        samples=64,
        threads=1,
    )
    assert found.ratios == (0.25, 0.5)
    assert [[point.kept for point in row.points] for row in found.rows] == [[24, 16], [48, 32]]
    assert found.metric == "accuracy"
    assert found.drop(found.rows[0].points[1]) > 0


@pytest.mark.parametrize("given", [{}, {"metric": "f1", "data": IMAGES}, {"metric": "top5", "data": IMAGES}])
def test_bounds_that_cannot_be_measured(given: dict) -> None:
    with pytest.raises(UsageError):
        onnxprune.prune(network(), max_drop=1, **given, **PLAIN)
