"""Every operator set and every element type: cut and verified, or a reason why not."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from scaling import opsets
from scaling.element_types import PACKED, TABLE
from scaling.outcomes import outcome

from onnxprune.model.versions import ALWAYS_OPSET

NEWEST = opsets.NEWEST if onnxruntime.__version__ == "1.31.1" else ALWAYS_OPSET
USES = [(use, dtype) for use, (_, dtypes) in TABLE.items() for dtype in dtypes]
NO_KERNEL = {("convolutions of it", "float64")}
"""ONNX Runtime has none for the CPU."""


@pytest.mark.parametrize("opset", range(opsets.OLDEST, NEWEST + 1))
def test_operator_set(opset: int) -> None:
    found = outcome(opsets.network(opset))
    assert found.verified, found.words
    assert found.pruned == 4
    assert found.left < 0.3


@pytest.mark.parametrize("opset", [opsets.OLDEST - 1, opsets.NEWEST + 2])
def test_other_operator_sets_are_refused_by_number(opset: int) -> None:
    if opset > onnx.defs.onnx_opset_version():
        pytest.skip("the installed onnx cannot make one")
    found = outcome(opsets.network(opset))
    assert not found.pruned
    assert f"opset {opset}" in found.words


@pytest.mark.parametrize(("use", "dtype"), USES, ids=[f"{use}-{dtype.name}" for use, dtype in USES])
def test_element_type(use: str, dtype: np.dtype) -> None:
    model = TABLE[use][0](dtype)
    found = outcome(model)
    if dtype in PACKED:
        assert "packed" in found.words
    elif (use, dtype.name) in NO_KERNEL:
        assert "ONNX Runtime does not run the source model" in found.words
        assert outcome(model, verify=False).pruned
    else:
        assert found.verified, found.words
        assert found.pruned == (1 if "matrix products" in use else 2)
