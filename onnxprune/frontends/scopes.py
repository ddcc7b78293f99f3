"""Keras layer names in the graphs that Keras 3 leaves on TensorFlow.

Keras 3 opens the scope of a layer once to build it and again to call it, and TensorFlow makes the second
one unique: what the layer ``conv2d`` computes is called ``model_1/conv2d_1/...``, and the scope of the
layer ``conv2d_1`` is ``conv2d_1_2``. The layers' own names are put back, so that reports and globs mean
what the author of the network called things.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from itertools import takewhile

from onnx import ModelProto

from onnxprune.frontends.tidy import distinct, graphs, rename_values

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_UNIQUE = re.compile(r"(?P<layer>.+)_\d+")


def restore_layer_names(model: ModelProto, layers: Collection[str]) -> None:
    """Put layer names in place of scopes, in the names of nodes and values; no two become the same.

    Args:
        model: changed in place.
        layers: names of the layers, at whatever depth.
    """
    _rename(model, lambda name: _restored(name, layers))
    _name_after_weights(model, layers)


def _name_after_weights(model: ModelProto, layers: Collection[str]) -> None:
    """Call a layer that TensorFlow has folded a batch normalisation into by its own name again."""
    weights = {tensor.name for tensor in model.graph.initializer}
    new = {}
    for node in model.graph.node:
        read = [name for name in node.input[1:2] if name in weights]
        layer = _layer_of(read[0], layers) if node.op_type in _WEIGHTED and read else ""
        if layer and layer != _layer_of(node.name, layers):
            new[node.name] = f"{layer}/{node.op_type}"
    new = distinct(new, [node.name for node in model.graph.node])
    for node in model.graph.node:
        node.name = new.get(node.name, node.name)


def _layer_of(name: str, layers: Collection[str]) -> str:
    """The part of a restored name that is layers."""
    scopes = name.split("/")
    return "/".join(takewhile(layers.__contains__, scopes[:-1]))


def strip_scope(model: ModelProto, scope: str) -> None:
    """Take a scope away from the front of names, however often it stands there.

    Args:
        model: changed in place.
        scope: its name, without a slash.
    """
    pattern = re.compile(rf"(?:{re.escape(scope)}/)+")
    _rename(model, lambda name: pattern.sub("", name, count=1) if pattern.match(name) else name)


def _rename(model: ModelProto, rename: Callable[[str], str]) -> None:
    nodes = [node for graph in graphs(model.graph) for node in graph.node]
    names = [node.name for node in nodes]
    new = distinct({name: rename(name) for name in names}, names)
    for node in nodes:
        node.name = new.get(node.name, node.name)
    fixed = {value.name for value in (*model.graph.input, *model.graph.output)}
    values = {name for node in nodes for name in (*node.input, *node.output)} - fixed
    rename_values(model, {name: rename(name) for name in values})


def _restored(name: str, layers: Collection[str]) -> str:
    """A name with its leading scopes as layers, as far as they are any."""
    scopes = name.split("/")
    for position, scope in enumerate(scopes):
        found = _UNIQUE.fullmatch(scope)
        if found and found["layer"] in layers:
            scopes[position] = found["layer"]
        elif scope not in layers:
            break
    return "/".join(scopes)
