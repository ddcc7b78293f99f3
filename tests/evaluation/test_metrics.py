"""Every metric against a plain computation on all samples at once."""

from __future__ import annotations

from math import inf, isinf, log

import numpy as np
import pytest

from onnxprune.errors import InputError, UsageError
from onnxprune.evaluation import METRICS, default_metrics, find_metrics
from onnxprune.evaluation.figure import share
from onnxprune.evaluation.observation import observe

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((60, 7)).astype(np.float32) * 2
LABELS = np.where(RNG.random(60) < 0.6, LOGITS.argmax(axis=1), RNG.integers(0, 7, 60))
TEACHER = LOGITS + RNG.standard_normal((60, 7)).astype(np.float32)
OTHER = RNG.standard_normal((60, 2, 3)).astype(np.float32)
NOISY = OTHER + 0.1 * RNG.standard_normal((60, 2, 3)).astype(np.float32)


def softmax(logits):
    exponents = np.exp(np.float64(logits) - np.max(logits, axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def measured(name, outputs, labels=None, teacher=None, *, size=13):
    """The metric over batches of 13."""
    meter = METRICS[name].meter()
    for start in range(0, 60, size):
        own = slice(start, start + size)
        beside = None if teacher is None else observe({k: v[own] for k, v in teacher.items()}, None)
        part = {k: v[own] for k, v in outputs.items()}
        meter.add(observe(part, None, labels=None if labels is None else labels[own], teacher=beside))
    return meter.figure()


def recalls(logits, labels):
    return [(logits.argmax(axis=1) == labels)[labels == c].mean() for c in np.unique(labels)]


def decibels(teacher, own):
    return 10 * np.log10((np.float64(teacher) ** 2).sum() / ((np.float64(own) - teacher) ** 2).sum())


WITH_LABELS = {
    "accuracy": (LOGITS.argmax(axis=1) == LABELS).mean(),
    "top5": (np.argsort(-LOGITS, axis=1)[:, :5] == LABELS[:, None]).any(axis=1).mean(),
    "balanced_accuracy": np.mean(recalls(LOGITS, LABELS)),
    "log_loss": -np.log(softmax(LOGITS)[np.arange(60), LABELS]).mean(),
}


@pytest.mark.parametrize("name", WITH_LABELS)
def test_with_labels(name):
    found = measured(name, {"scores": LOGITS}, LABELS)
    assert found.value == pytest.approx(WITH_LABELS[name], rel=1e-6)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("name", WITH_LABELS)
@pytest.mark.parametrize("shape", [(60, 7, 1, 1), (60, 7, 1)])
def test_maps_of_one_pixel_are_scores_too(name, shape):
    assert measured(name, {"scores": LOGITS.reshape(shape)}, LABELS).value == pytest.approx(WITH_LABELS[name])


SAME_LOSS = {
    "probabilities": softmax(LOGITS).astype(np.float32),
    "16-bit probabilities": softmax(LOGITS).astype(np.float16),
    "logarithms of probabilities": np.log(softmax(LOGITS)).astype(np.float32),
    "logits shifted": LOGITS + 100,
}


@pytest.mark.parametrize("form", SAME_LOSS)
def test_log_loss_tells_logits_from_probabilities(form):
    found = measured("log_loss", {"scores": SAME_LOSS[form]}, LABELS)
    assert found.value == pytest.approx(WITH_LABELS["log_loss"], rel=2e-3)


def test_one_row_that_is_no_distribution_makes_all_of_them_logits():
    mixed = softmax(LOGITS).astype(np.float32)
    mixed[40] = LOGITS[40]
    expected = -np.log(softmax(mixed)[np.arange(60), LABELS]).mean()
    assert measured("log_loss", {"scores": mixed}, LABELS).value == pytest.approx(expected, rel=1e-5)


def test_a_certain_error_costs_a_finite_loss():
    certain = np.eye(7, dtype=np.float32)[(LABELS + 1) % 7]
    assert measured("log_loss", {"scores": certain}, LABELS).value == pytest.approx(-log(1e-15))


def test_scores_that_are_no_numbers_are_wrong():
    broken = LOGITS.copy()
    broken[:, 3] = np.nan
    for name in ("accuracy", "top5", "balanced_accuracy"):
        assert measured(name, {"scores": broken}, LABELS).value == 0
    assert measured("agreement", {"scores": broken}, None, {"scores": broken}).value == 0


def test_a_collapsed_model_does_not_profit_from_ties():
    flat = np.zeros((60, 7), np.float32)
    assert measured("accuracy", {"scores": flat}, LABELS).value == (LABELS == 0).mean()
    assert measured("top5", {"scores": flat}, LABELS).value == (LABELS < 5).mean()


def test_agreement():
    found = measured("agreement", {"scores": LOGITS}, None, {"scores": TEACHER})
    assert found.value == (LOGITS.argmax(axis=1) == TEACHER.argmax(axis=1)).mean()


def test_sqnr_of_one_output():
    found = measured("sqnr", {"y": NOISY}, None, {"y": OTHER})
    assert found.value == pytest.approx(decibels(OTHER, NOISY), rel=1e-9)
    assert found.value == pytest.approx(20, abs=1.5)
    assert found.low < found.value < found.high < found.value + 3


def test_outputs_of_any_scale_count_alike():
    own = {"small": LOGITS, "large": 1e6 * NOISY, "silent": 0 * OTHER}
    theirs = {"large": 1e6 * OTHER, "small": TEACHER, "silent": 0 * OTHER}
    ratios = [10 ** (-decibels(a, b) / 10) for a, b in ((TEACHER, LOGITS), (OTHER, NOISY))]
    assert measured("sqnr", own, None, theirs).value == pytest.approx(-10 * np.log10(np.mean(ratios)))


def test_sqnr_pairs_outputs_of_other_names_by_position():
    found = measured("sqnr", {"a": LOGITS, "b": NOISY}, None, {"c": LOGITS, "d": OTHER})
    assert found.value == pytest.approx(decibels(OTHER, NOISY) + 10 * np.log10(2))


def test_sqnr_of_equal_outputs_is_infinite():
    assert isinf(measured("sqnr", {"y": OTHER}, None, {"y": OTHER}).value)


INTERVALS = [(0, 10, 0.0, 0.278), (5, 10, 0.237, 0.763), (10, 10, 0.722, 1.0), (950, 1000, 0.935, 0.962)]


@pytest.mark.parametrize(("hits", "count", "low", "high"), INTERVALS)
def test_wilson_intervals(hits, count, low, high):
    found = share(hits, count)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


DEFAULTS = [
    ((True, False, True), ("accuracy", "balanced_accuracy", "log_loss")),
    ((True, True, True), ("accuracy", "balanced_accuracy", "log_loss", "agreement", "sqnr")),
    ((False, True, True), ("agreement", "sqnr")),
    ((True, True, False), ("sqnr",)),
    ((False, False, True), ()),
]


@pytest.mark.parametrize(("given", "names"), DEFAULTS)
def test_what_is_measured_by_default(given, names):
    labelled, teacher, classes = given
    found = default_metrics(labelled=labelled, teacher=teacher, classes=classes)
    assert tuple(metric.name for metric in found) == names


def test_unknown_metric():
    with pytest.raises(UsageError, match="'accuracy'"):
        find_metrics(["acuracy"])


@pytest.mark.parametrize("labels", [LABELS - 1, LABELS + 2, LABELS.astype(np.float32), LABELS[:, None]])
def test_labels_that_do_not_fit(labels):
    with pytest.raises(InputError):
        measured("accuracy", {"scores": LOGITS}, labels)


def test_a_teacher_for_another_task():
    with pytest.raises(InputError, match="shape"):
        measured("agreement", {"scores": LOGITS}, None, {"scores": LOGITS[:, :5]})


def test_points_and_drops():
    assert METRICS["accuracy"].drop(0.92, 0.9) == pytest.approx(2)
    assert METRICS["log_loss"].drop(0.3, 0.5) == pytest.approx(0.2)
    assert METRICS["sqnr"].drop(inf, 20) == pytest.approx(1)
    assert METRICS["sqnr"].drop(20, 10) == pytest.approx(9)
