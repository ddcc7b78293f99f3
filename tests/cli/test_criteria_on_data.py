"""Criteria that measure the model on data, from the samples to the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from command import as_json, onnxprune
from small_networks import network, save

from onnxprune import UsageError, prune

SHAPE = (3, 8, 8)
PLAIN = {"align": "off", "repair": "none", "threads": 1}


def images() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((24, *SHAPE)).astype(np.float32)


def silenced(units: list[int]) -> onnx.ModelProto:
    """Some filters of the first layer never get past their ReLU."""
    model = network()
    for tensor in model.graph.initializer:
        if tensor.name == "conv1.bias":
            bias = np.zeros(32, np.float32)
            bias[units] = -1e3
            tensor.CopyFrom(onnx.numpy_helper.from_array(bias, tensor.name))
    return model


@pytest.mark.parametrize("name", ["entropy", "apoz", "mean", "variance", "rank,samples=2", "wanda"])
def test_a_criterion_finds_the_channels_that_are_silent(name: str) -> None:
    result = prune(silenced([3, 7, 20]), ratio=0.09, criterion=name, data=images(), **PLAIN)
    assert set(result.report.cuts["conv1.weight"]["0"]["kept"]) == set(range(32)) - {3, 7, 20}
    assert result.report.verification["masked_equivalence"]["passed"]


@pytest.mark.frontends
@pytest.mark.parametrize("name", ["taylor", "fisher", "self_fisher", "jacobian"])
def test_so_do_derivatives(name: str) -> None:
    pytest.importorskip("torch")
    data = (images(), np.arange(24) % 10)
    result = prune(silenced([3, 7, 20]), ratio=0.09, criterion=name, data=data, **PLAIN)
    assert set(result.report.cuts["conv1.weight"]["0"]["kept"]) == set(range(32)) - {3, 7, 20}


def test_what_needs_labels_names_what_does_not() -> None:
    with pytest.raises(UsageError, match="jacobian"):
        prune(network(), ratio=0.5, criterion="fisher", data=images(), **PLAIN)


def test_a_threshold_on_data_decides_on_the_command_line(tmp_path: Path) -> None:
    model = save(tmp_path, silenced([3, 7, 20]))
    np.savez(tmp_path / "data.npz", x=images())
    options = ("--criterion", "apoz:0.999", "--data", "data.npz", "--align", "off", "--repair", "none")
    report = as_json(model.name, *options, cwd=tmp_path)
    assert set(report["cuts"]["conv1.weight"]["0"]["kept"]) == set(range(32)) - {3, 7, 20}
    assert report["settings"]["criterion"]["threshold"] == 0.999


def test_without_data_the_error_shows_how_to_give_some(tmp_path: Path) -> None:
    model = save(tmp_path, network())
    done = onnxprune(model.name, "--ratio", "0.5", "--criterion", "entropy", cwd=tmp_path)
    assert done.returncode == 2
    assert "'entropy'" in done.stderr
    assert "--data samples.npz" in done.stderr


def test_the_same_samples_and_seed_give_the_same_file(tmp_path: Path) -> None:
    outputs = [tmp_path / "one.onnx", tmp_path / "two.onnx"]
    for output in outputs:
        prune(network(), ratio=0.4, criterion="wanda", data=images(), output=output, **PLAIN)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
