"""Published and own networks reach their accuracy when their data come through ``--data``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onnxprune import evaluate

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("ONNXPRUNE_SHARED", ROOT.parent / "shared"))

CASES = {
    "fixtures/mlp_fashion.onnx": ("fashion_mnist.npz", "scale=1/255,mean=0.2860,std=0.3530", 0.87),
    "fixtures/mobilenet_fashion.onnx": ("fashion_mnist.npz", "scale=1/255,mean=0.2860,std=0.3530", 0.9),
    "models/lenet5_mnist.onnx": ("mnist.npz", "scale=1/255,pad=2", 0.97),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", CASES)
def test_accuracy_is_as_published(name: str) -> None:
    data, preprocess, least = CASES[name]
    model = (ROOT if name.startswith("fixtures") else SHARED) / name
    path = SHARED / "data" / data
    if not path.exists() or not model.exists():
        pytest.skip(f"{data} or {model.name} is absent; set ONNXPRUNE_SHARED")
    found = evaluate(model, f"{path}:x_test,y_test", preprocess=preprocess, samples=1000, threads=1)
    assert found["accuracy"] > least
