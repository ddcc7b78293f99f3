"""Models that were not made for this suite: the shared folder's and the fixtures'."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import oracle
import pytest
from pruning import prune_randomly

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("ONNXPRUNE_SHARED", ROOT.parent / "shared")) / "models"

MODELS = (
    "dtln_1",
    "lenet5_mnist",
    "mlperf_resnet8_cifar10",
    "mobilenetv1_025_imagenet",
    "resnet20_cifar10",
    "resnet20_cifar10_bn",
    "resnet56_cifar10",
    "resnet56_cifar10_bn",
    "super_resolution_10",
    "ultraface_rfb320_simplified",
    "yunet_n_dynamic",
)

WHOLE = {"dtln_1"}
"""Nothing but recurrent units whose state is an input and an output: may stay whole."""


def _check(path: Path) -> None:
    model = onnx.load(path)
    pruned = prune_randomly(model, 0.4, seed=3)
    oracle.check(model, pruned.proto, pruned.cuts, expect_cut=None if path.stem in WHOLE else True)


@pytest.mark.shared
@pytest.mark.parametrize("name", MODELS)
def test_shared_model(name: str) -> None:
    path = SHARED / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"{path.name} is not in the shared folder; set ONNXPRUNE_SHARED")
    _check(path)


@pytest.mark.parametrize("path", sorted((ROOT / "fixtures").glob("**/*.onnx")), ids=lambda p: p.stem)
def test_fixture(path: Path) -> None:
    _check(path)
