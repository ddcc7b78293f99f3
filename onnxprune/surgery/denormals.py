"""Flushes denormal weights: numbers that add nothing and cost a hundredfold on many CPUs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from onnxprune.model.constants import Array, Constant
from onnxprune.model.model import Model

CHUNK = 1 << 22
"""Elements looked at together; large files stay mapped instead of being read whole."""

LAYOUTS = {
    TensorProto.FLOAT: (np.uint32, 0x7F800000, 0x007FFFFF),
    TensorProto.DOUBLE: (np.uint64, 0x7FF0000000000000, 0x000FFFFFFFFFFFFF),
}
"""Unsigned type of the same width, mask of the exponent, mask of the fraction. Half-precision
denormals are left alone: kernels widen them to normal numbers first."""


def flush_denormals(model: Model) -> tuple[Model, list[str]]:
    """The model with denormal weights set to zero, and the names of the tensors that had some."""
    changed: dict[str, Constant] = {}
    for name, constant in model.constants.items():
        if constant.data_type in LAYOUTS and _has_denormals(constant):
            values = np.array(constant.values())
            values[_denormal(values, constant.data_type)] = 0
            changed[name] = constant.replaced(values)
    if not changed:
        return model, []
    constants = model.constants.with_changes(changed)
    return replace(model, constants=constants), list(changed)


def _has_denormals(constant: Constant) -> bool:
    flat = constant.values().reshape(-1)
    return any(
        _denormal(flat[start : start + CHUNK], constant.data_type).any()
        for start in range(0, len(flat), CHUNK)
    )


def _denormal(values: Array, data_type: int) -> Array:
    unsigned, exponent, fraction = LAYOUTS[data_type]
    bits = np.asarray(values, order="C").view(unsigned)  # which leaves a single number without axes
    found: Array = ((bits & unsigned(exponent)) == 0) & ((bits & unsigned(fraction)) != 0)
    return found
