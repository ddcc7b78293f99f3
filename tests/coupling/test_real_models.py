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

LEFT = {
    "dtln_1": (363393, 363393),
    "lenet5_mnist": (61706, 21194),
    "mlperf_resnet8_cifar10": (78186, 27746),
    "mobilenetv1_025_imagenet": (467336, 231896),
    "resnet20_cifar10": (269035, 91752),
    "resnet20_cifar10_bn": (271100, 92950),
    "resnet56_cifar10": (850988, 290065),
    "resnet56_cifar10_bn": (857084, 293602),
    "super_resolution_10": (59657, 22087),
    "ultraface_rfb320_simplified": (273888, 113093),
    "yunet_n_dynamic": (73848, 29800),
}
"""Parameters before and after at ratio 0.4, whichever channels go; fewer may be left once more can be followed."""

WHOLE = {"dtln_1"}
"""Nothing but recurrent units whose state is an input and an output: may stay whole."""


def _check(path: Path) -> tuple[int, int]:
    """Prunes and checks one file; returns its parameters before and after."""
    model = onnx.load(path)
    pruned = prune_randomly(model, 0.4, seed=3)
    oracle.check(model, pruned.proto, pruned.cuts, expect_cut=None if path.stem in WHOLE else True)
    return oracle.parameters(model), oracle.parameters(pruned.proto)


@pytest.mark.shared
@pytest.mark.parametrize("name", LEFT)
def test_shared_model(name: str) -> None:
    path = SHARED / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"{path.name} is not in the shared folder; set ONNXPRUNE_SHARED")
    assert _check(path) == LEFT[name]


@pytest.mark.parametrize("path", sorted((ROOT / "fixtures").glob("**/*.onnx")), ids=lambda p: p.stem)
def test_fixture(path: Path) -> None:
    _check(path)
