"""A network with two inputs and one number as its output."""

from __future__ import annotations

import numpy as np
from onnx import numpy_helper, parser

import onnxprune
from onnxprune.model import Model


def two_inputs(seed: int) -> Model:
    """A perceptron on both inputs side by side."""
    model = parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        example (float[n, 6] left, float[n, 6] right) => (float[n, 1] score) {
            both = Concat <axis = 1> (left, right)
            hidden = Gemm (both, first_weight, first_bias)
            active = Relu (hidden)
            score = Gemm (active, last_weight, last_bias)
        }""")
    rng = np.random.default_rng(seed)
    shapes = {"first_weight": (12, 16), "first_bias": (16,), "last_weight": (16, 1), "last_bias": (1,)}
    for name, shape in shapes.items():
        values = rng.standard_normal(shape).astype(np.float32) * 0.4
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return onnxprune.load_model(model)
