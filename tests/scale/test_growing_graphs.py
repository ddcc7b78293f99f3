"""Long, wide and branching graphs are cut everywhere and verified, in small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import oracle
import pytest
from onnx import ModelProto
from scaling import growing, large

import onnxprune

CASES = {
    "chain": (growing.chain, 100, 99),
    "residual blocks": (growing.residual_chain, 200, 99),
    "concatenation": (growing.branches, 50, 102),
}


@pytest.mark.parametrize(("make", "size", "layers"), CASES.values(), ids=CASES)
def test_every_layer_is_cut_and_verified(make: Callable[[int], ModelProto], size: int, layers: int) -> None:
    model = make(size)
    result = onnxprune.prune(model, ratio=0.4, threads=1)
    assert sum(layer.status == "pruned" for layer in result.report.layers) == layers
    assert result.report.verification["masked_equivalence"]["passed"]
    output = oracle.run(result.model.to_proto(), oracle.random_feed(model, 0))["y"]
    assert np.abs(output).max() > 1e-3  # or the comparison would have been one of zeros


def test_external_data_is_cut_and_written_beside_the_result(tmp_path: Path) -> None:
    source, output = tmp_path / "large.onnx", tmp_path / "pruned.onnx"
    nbytes = large.write(source, 300_000)
    result = onnxprune.prune(source, ratio=0.4, threads=1, output=output)
    assert result.report.verification["masked_equivalence"]["passed"]
    written = sum(path.stat().st_size for path in tmp_path.glob("pruned*"))
    assert 0 < written < 0.6 * nbytes
    onnx.checker.check_model(output)
