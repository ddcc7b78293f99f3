"""Whole models as modules of torch: what they compute, that they train, and what comes back."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import oracle
import pytest

pytest.importorskip("torch")
from torch_cases import backward, difference, results, train

from onnxprune import load_model, save_model, to_torch, write_back

pytestmark = pytest.mark.frontends

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("ONNXPRUNE_SHARED", ROOT.parent / "shared")) / "models"
FIXTURES = sorted((ROOT / "fixtures").glob("**/*.onnx"))

PARAMETERS = {
    "dtln_1": 363393,
    "lenet5_mnist": 61706,
    "mlperf_resnet8_cifar10": 78186,
    "mobilenetv1_025_imagenet": 467336,
    "resnet20_cifar10": 269034,
    "resnet20_cifar10_bn": 269722,
    "resnet56_cifar10": 850986,
    "resnet56_cifar10_bn": 853018,
    "super_resolution_10": 59657,
    "ultraface_rfb320_simplified": 273888,
    "yunet_n_dynamic": 73840,
}
"""Shared models and how many parameters can be trained; running statistics are none."""


def check(path: Path, tmp_path: Path) -> int:
    """Compare with ONNX Runtime before and after training; returns the number of parameters."""
    model = load_model(path)
    module = to_torch(model)
    assert difference(model, module) <= 1e-4
    feed = oracle.random_feed(model.to_proto(), 1)
    assert not backward(module, feed)

    save_model(model, tmp_path / "source.onnx")
    save_model(write_back(module, model), tmp_path / "same.onnx")
    assert (tmp_path / "source.onnx").read_bytes() == (tmp_path / "same.onnx").read_bytes()

    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    train(module, feed)
    moved = [name for name, value in module.named_parameters() if not before[name].equal(value)]
    assert moved
    trained = write_back(module, model)
    onnx.checker.check_model(trained.to_proto())
    assert difference(trained, module) <= 1e-4
    assert all(name in results(module, feed) for name in module.output_names)
    return sum(value.numel() for value in before.values())


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixture(path: Path, tmp_path: Path) -> None:
    assert check(path, tmp_path)


@pytest.mark.shared
@pytest.mark.parametrize("name", PARAMETERS)
def test_shared_model(name: str, tmp_path: Path) -> None:
    path = SHARED / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"{path.name} is not in the shared folder; set ONNXPRUNE_SHARED")
    assert check(path, tmp_path) == PARAMETERS[name]
