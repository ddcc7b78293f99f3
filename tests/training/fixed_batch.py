"""A network that computes something else for another batch."""

from __future__ import annotations

import numpy as np
from onnx import helper, numpy_helper
from small_networks import network

import onnxprune
from onnxprune.model import Model


def fixed_network(size: int) -> Model:
    """A constant for each sample of the batch is added to the images."""
    proto = network()
    shift = np.random.default_rng(1).standard_normal((size, 3, 8, 8)).astype(np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(shift, "shift"))
    proto.graph.node[0].input[0] = "shifted"
    proto.graph.node.insert(0, helper.make_node("Add", ["image", "shift"], ["shifted"], name="add"))
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = size
    return onnxprune.load_model(proto)
