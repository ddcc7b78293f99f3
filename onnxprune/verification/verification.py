"""What a check found, and how much two runs of the same network may differ."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import TensorProto

from onnxprune.model.model import Model

FLOAT_TOLERANCE = 1e-4
"""Of outputs computed in float32, relative to their largest magnitude: sums in another order."""
HALF_TOLERANCE = 1e-2
"""Of float16: activations are rounded to 11 bits after every operator. (bfloat16 runs in float32.)"""
QUANTISED_TOLERANCE = 2e-2
"""Where activations are rounded to 8 bits: the last bit of a sum can move one by a whole step."""

_ROUNDING = ("QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul")


@dataclass(frozen=True)
class Verification:
    """Outcome of comparing a pruned model with the masked source.

    Attributes:
        checked: whether a comparison took place.
        max_relative_error: largest ``max|p - q| / max|p|`` over outputs and samples; infinite where
            shapes, types or the places of non-finite values differ.
        tolerance: the error that was allowed.
        samples: how many draws of random inputs were run.
        passed: whether the comparison took place and the error is within the tolerance.
        reason: why it failed or was not made; empty when it passed.
    """

    checked: bool
    max_relative_error: float
    tolerance: float
    samples: int
    passed: bool
    reason: str = ""


def tolerance_of(model: Model) -> float:
    """The relative error that the precision of a model's arithmetic explains."""
    if any(node.op_type in _ROUNDING for node in model.proto.graph.node):
        return QUANTISED_TOLERANCE
    return HALF_TOLERANCE if _has_half(model) else FLOAT_TOLERANCE


def _has_half(model: Model) -> bool:
    if any(constant.data_type == TensorProto.FLOAT16 for constant in model.constants.values()):
        return True
    casts = (node for node in model.proto.graph.node if node.op_type == "Cast")
    return any(attribute.i == TensorProto.FLOAT16 for node in casts for attribute in node.attribute)
