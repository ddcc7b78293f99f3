"""Biases for layers that have none, as a fit needs somewhere to put a constant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from onnxprune.model import Model
from onnxprune.model.constants import Array, Constant
from onnxprune.model.names import fresh_name, names_of
from onnxprune.reconstruction.layers import find_layers
from onnxprune.surgery.apply import INITIALIZERS_ALONE


def with_biases(model: Model) -> Model:
    """The model with a bias of zeros in every layer that can have one and has none."""
    missing = [layer for layer in find_layers(model)[0] if layer.can_get_bias]
    if not missing:
        return model
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    by_output = {node.output[0]: node for node in proto.graph.node if node.output}
    taken = names_of(proto.graph)
    added: dict[str, Constant] = {}
    for layer in missing:
        node, weight = by_output[layer.node.output[0]], model.constants[layer.weight]
        name = fresh_name(f"{node.output[0]}.bias", taken)
        taken.add(name)
        del node.input[2:]
        node.input.append(name)
        added[name] = _zeros(name, layer.columns.channels, weight)
    _declare(proto, added.values())
    return replace(model, proto=proto, constants=model.constants.with_changes(added))


def without_idle(plain: Model, biased: Model, changed: Mapping[str, Constant]) -> Model:
    """A model with changed constants, and of the added biases with those that were changed only.

    Args:
        plain: the model.
        biased: what ``with_biases`` made of it.
        changed: constants of ``biased`` by name.
    """
    new = [constant for name, constant in changed.items() if name not in plain.constants]
    names = {constant.name for constant in new}
    proto = onnx.ModelProto()
    proto.CopyFrom(plain.proto)
    by_output = {node.output[0]: node for node in biased.proto.graph.node if node.output}
    for node in proto.graph.node:
        twin = by_output[node.output[0]] if node.output else node
        if len(twin.input) > 2 and twin.input[2] in names:
            del node.input[:]
            node.input.extend(twin.input)
    _declare(proto, new)
    return replace(plain, proto=proto, constants=plain.constants.with_changes(changed))


def _declare(proto: onnx.ModelProto, added: Iterable[Constant]) -> None:
    """Give the graph a place for constants; in old files initializers would have to be inputs."""
    tensors = [TensorProto(name=c.name, dims=c.shape, data_type=c.data_type) for c in added]
    if proto.ir_version >= INITIALIZERS_ALONE:
        proto.graph.initializer.extend(tensors)
        return
    makers = [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in tensors]
    nodes: list[NodeProto] = [*makers, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def _zeros(name: str, channels: int, weight: Constant) -> Constant:
    values: Array = np.zeros(channels, dtype=weight.values().dtype)
    return Constant(name, values.shape, weight.data_type, lambda: values)
