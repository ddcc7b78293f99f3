"""The test cases that the onnx package carries for its operators."""

from __future__ import annotations

import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import node_cases

pytestmark = pytest.mark.frontends

COUNTS = {"1.23.2": {"passed": 1430, "differs": 6, "unsupported": 170, "other types": 278}}
"""What there is to expect, by the version of onnx."""

DIFFER = {
    "test_resize_downsample_scales_cubic_align_corners",
    "test_resize_downsample_scales_linear_align_corners",
    "test_training_dropout",
    "test_training_dropout_default",
    "test_training_dropout_default_mask",
    "test_training_dropout_mask",
}
"""Random numbers of NumPy; and two cases in which ONNX Runtime computes what we do."""

UNSUPPORTED = set(
    "Adagrad Adam ArrayFeatureExtractor Bernoulli Binarizer BitCast BlackmanWindow CausalConvWithState Col2Im DFT "
    "DeformConv FlexAttention HammingWindow HannWindow If ImageDecoder LabelEncoder LinearAttention Loop "
    "MelWeightMatrix Momentum NonMaxSuppression OptionalGetElement OptionalHasElement RandomUniformLike RoiAlign "
    "STFT Scan SwiGLU TensorScatter TfIdfVectorizer TreeEnsemble Unique".split()
)
"""Operators that are refused."""

OTHER_FORMS = {"test_affine_grid_2d_expanded", "test_affine_grid_2d_align_corners_expanded"}
OTHER_FORMS |= {"test_spacetodepth_dcr_mode_example", "test_spacetodepth_crd_mode_example"}
OTHER_FORMS |= {"test_not_2d", "test_not_3d", "test_not_4d"}
"""A text constant; an attribute of opset 28; a model stamped with opset 1."""


def test_node_cases() -> None:
    outcomes = node_cases.run_all()
    differ = {one.name: one.note for one in outcomes if one.result == node_cases.DIFFERS}
    assert not set(differ) - DIFFER, differ
    refused = [one for one in outcomes if one.result == node_cases.UNSUPPORTED]
    assert not [
        one for one in refused if not UNSUPPORTED & set(one.operators) and one.name not in OTHER_FORMS
    ]
    counts = Counter(one.result for one in outcomes)
    expected = COUNTS.get(version("onnx"))
    assert expected is None or dict(counts) == expected
