"""What follows about activations without data."""

from __future__ import annotations

from math import erf, exp, pi, sqrt

import numpy as np
import onnx
import pytest
from onnx import helper
from repair_networks import images, model, normalized, rng, run

from onnxprune.coupling import couple
from onnxprune.model import load_model
from onnxprune.repair.expected import ExpectedMoments
from onnxprune.repair.gaussian import through
from onnxprune.repair.moments import Moments, constants, regressions

MEANS = [0.0, 1.0, -2.0, 0.3]
DEVIATIONS = [1.0, 0.5, 1.5, 0.0]


def moments(means, deviations, r=0.0):
    deviations = np.array(deviations)
    covariance = np.outer(deviations, deviations) * (r + (1 - r) * np.eye(len(deviations)))
    return Moments(np.array(means), covariance)


@pytest.mark.parametrize(("mean", "deviation"), list(zip(MEANS, DEVIATIONS, strict=True)))
def test_the_mean_of_a_rectified_normal_variable(mean, deviation):
    found = through(moments([mean], [deviation]), lambda y: np.maximum(y, 0))
    if not deviation:
        assert found.mean[0] == pytest.approx(max(mean, 0))
        return
    ratio = mean / deviation
    closed = mean * (1 + erf(ratio / sqrt(2))) / 2 + deviation * exp(-(ratio**2) / 2) / sqrt(2 * pi)
    assert found.mean[0] == pytest.approx(closed, abs=1e-5)


@pytest.mark.parametrize("r", [-0.7, 0.0, 0.5, 0.95])
@pytest.mark.parametrize("function", [lambda y: np.maximum(y, 0), np.tanh, lambda y: np.clip(y, 0, 1.2)])
def test_covariances_of_functions_of_normal_variables(function, r):
    means, deviations = np.array([0.2, -0.5]), np.array([1.0, 0.7])
    own = Moments(means, np.outer(deviations, deviations) * np.array([[1, r], [r, 1]]))
    drawn = rng(3).multivariate_normal(own.mean, own.covariance, 400_000)
    found = through(own, function)
    values = function(drawn)
    assert found.mean == pytest.approx(values.mean(axis=0), abs=4e-3)
    assert found.covariance == pytest.approx(np.cov(values.T), abs=6e-3)


def test_units_of_which_nothing_is_known_stay_unknown():
    found = through(moments([0.0, np.nan], [1.0, np.nan]), lambda y: np.maximum(y, 0))
    assert np.isfinite(found.mean).tolist() == [True, False]
    assert constants(found, np.array([0])).gone.size == 0
    assert regressions(moments([np.nan, 1.0], [np.nan, 1.0]), np.array([0])) is None


def test_the_kept_unit_that_predicts_best_stands_in():
    drawn = rng(0).standard_normal((50_000, 3))
    values = np.stack([drawn[:, 0], drawn[:, 1], 2 * drawn[:, 1] + 0.5 * drawn[:, 2] + 3], axis=1)
    own = Moments(values.mean(axis=0), np.cov(values.T))
    found = regressions(own, np.array([0, 1]))
    assert (found.gone.tolist(), found.kept.tolist()) == ([2], [1])
    assert found.scale == pytest.approx([2], abs=0.01)
    assert found.offset == pytest.approx([3], abs=0.01)
    assert found.explained == pytest.approx([4 / 4.25], abs=0.01)


def test_a_constant_stands_in_for_nothing_but_its_mean():
    own = Moments(np.array([5.0, 1.0]), np.diag([0.0, 1.0]))
    found = regressions(own, np.array([0]))
    assert (found.scale.tolist(), found.offset.tolist()) == ([0.0], [1.0])


@pytest.mark.parametrize("kernel", [1, 3])
def test_moments_behind_batch_normalisation_are_those_of_the_data(kernel):
    proto = normalized(kernel=kernel)
    coupling = couple(load_model(proto))
    group = coupling.structure.by_name()["conv1"]
    found = ExpectedMoments(coupling).of(group, 0)
    values = activations(proto, "a")
    assert found.mean == pytest.approx(values.mean(axis=0), abs=0.05)
    assert np.diagonal(found.covariance) == pytest.approx(values.var(axis=0), abs=0.1)
    apart = ~np.eye(16, dtype=bool)
    # white inputs: the filters' directions are all there is to know
    assert np.corrcoef(found.covariance[apart], np.cov(values.T)[apart])[0, 1] > 0.95


def activations(proto: onnx.ModelProto, name: str) -> np.ndarray:
    """An inner value, (samples * positions, channels)."""
    inner = onnx.ModelProto()
    inner.CopyFrom(proto)
    inner.graph.output[0].CopyFrom(helper.make_tensor_value_info(name, 1, None))
    values = run(inner, images(256))
    return np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])


def test_sums_of_branches_concatenations_and_functions_are_followed():
    def norm(k: int, source: str, target: str) -> onnx.NodeProto:
        names = [f"{part}{k}" for part in ("gamma", "beta", "mean", "var")]
        return helper.make_node("BatchNormalization", [source, *names], [target])

    nodes = []
    weights = {"w": rng(9).standard_normal((10, 12)), "b": np.zeros(10), "v": rng(8).standard_normal((4, 10))}
    for k in range(3):
        weights |= {
            f"w{k}": rng(k).standard_normal((6, 3, 1, 1)),
            f"gamma{k}": rng(k + 20).uniform(0.5, 1.5, 6),
            f"beta{k}": rng(k + 30).standard_normal(6),
            f"mean{k}": np.zeros(6),
            f"var{k}": np.ones(6),
        }
        nodes += [helper.make_node("Conv", ["x", f"w{k}"], [f"c{k}"], f"conv{k}"), norm(k, f"c{k}", f"n{k}")]
    nodes += [
        helper.make_node("Add", ["n0", "n1"], ["sum"]),
        helper.make_node("HardSwish", ["sum"], ["h"]),
        helper.make_node("Relu", ["n2"], ["r"]),
        helper.make_node("Concat", ["h", "r"], ["both"], axis=1),
        helper.make_node("GlobalAveragePool", ["both"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["g"], "dense", transB=1),
        helper.make_node("Gemm", ["g", "v"], ["y"], "head", transB=1),
    ]
    coupling = couple(load_model(model(nodes, weights)))
    known = ExpectedMoments(coupling)
    groups = coupling.structure.by_name()
    stream, branch = known.of(groups["conv0"], 0), known.of(groups["conv2"], 0)
    mean = weights["beta0"] + weights["beta1"]
    deviation = np.sqrt(weights["gamma0"] ** 2 + weights["gamma1"] ** 2)
    drawn = mean + deviation * rng(1).standard_normal((200_000, 6))
    swish = drawn * np.clip(drawn / 6 + 0.5, 0, 1)
    assert stream.mean == pytest.approx(swish.mean(axis=0), abs=0.02)
    assert branch.mean.min() > 0
    assert not stream.relative
    assert not branch.relative
    dense = known.of(groups["dense"], 0)
    assert dense.relative
    assert not dense.mean.any()
