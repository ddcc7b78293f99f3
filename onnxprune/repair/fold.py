"""Folds removed units into what reads them: duplicates into their survivor, constants into a bias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto, helper

from onnxprune.coupling.engine import Engine
from onnxprune.coupling.groups import Group, Role, Slice
from onnxprune.model.constants import Array, Constant, Constants
from onnxprune.model.names import fresh_name, names_of
from onnxprune.surgery.apply import INITIALIZERS_ALONE

UNPADDED = ("Gemm", "MatMul")
"""Readers in which every output sees the whole input."""


@dataclass(frozen=True)
class Reader:
    """A weighted reader of a group's units."""

    node: NodeProto
    weight: Slice
    value: str

    @property
    def sees_all(self) -> bool:
        """Whether no border of zeros stands between a constant input and a constant output."""
        attributes = {a.name: helper.get_attribute_value(a) for a in self.node.attribute}
        if self.node.op_type in UNPADDED:
            return attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0 and not attributes.get(
                "transA", 0
            )
        auto = attributes.get("auto_pad", b"NOTSET")
        padded = auto not in (b"NOTSET", b"VALID") or any(attributes.get("pads", ()))
        return self.node.op_type == "Conv" and not padded and attributes.get("group", 1) == 1

    @property
    def channel_axis(self) -> int:
        """Axis of the read value that the weight contracts."""
        if self.node.op_type in UNPADDED:
            return -2 if self.node.input[0] == self.weight.constant else -1
        return 1


def readers(group: Group, engine: Engine) -> list[Reader] | None:
    """All readers of the units, None where one of them cannot be rewritten."""
    nodes = {site.name: site.node for site, _ in engine.sites.values()}
    found = []
    for s in group.slices:
        if s.role is not Role.INPUT:
            continue
        node = nodes.get(s.layer)
        if node is None or s.constant not in node.input:
            return None
        position = list(node.input).index(s.constant)
        found.append(Reader(node, s, node.input[1 - position] if position < 2 else node.input[0]))
    return found


def merge_twins(group: Group, twins: tuple[tuple[int, int], ...], weights: dict[str, Array]) -> None:
    """``W[:, survivor] += W[:, duplicate]`` in every reader; ``weights`` are edited in place."""
    for s in group.slices:
        if s.role is not Role.INPUT:
            continue
        rows = np.moveaxis(weights[s.constant], s.axis, 0)
        for survivor, duplicate in twins:
            rows[s.units == survivor] += rows[s.units == duplicate]


def bias_change(reader: Reader, level: Array, weights: Mapping[str, Array]) -> Array:
    """What constant inputs add to each output channel, shape (output channels,).

    Args:
        reader: a reader that sees all of its input.
        level: (input channels,) the constant at each index of the contracted axis, 0 elsewhere.
        weights: current values by constant name.
    """
    moved = np.moveaxis(weights[reader.weight.constant], reader.weight.axis, 0)
    used = np.flatnonzero(level)
    change: Array = np.tensordot(level[used], moved[used].astype(np.float64), axes=1)
    return (
        change.reshape(change.shape[0], -1).sum(axis=1)
        if reader.node.op_type == "Conv"
        else change.reshape(-1)
    )


def add_bias(
    proto: onnx.ModelProto, constants: Constants, reader: Reader, change: Array
) -> dict[str, Constant] | None:
    """New constants that carry the changed bias of a reader, None where it cannot take one.

    The graph is edited in place where the reader had no bias.
    """
    node = next(n for n in proto.graph.node if n.output[0] == reader.node.output[0])
    if node.op_type == "MatMul":
        users = [n for n in proto.graph.node if node.output[0] in n.input]
        if len(users) != 1 or users[0].op_type != "Add":
            return None
        name = next((i for i in users[0].input if i in constants), "")
        if not name or constants[name].size != len(change) or constants[name].shape[-1] != len(change):
            return None
    else:
        name = node.input[2] if len(node.input) > 2 else ""
    if not name:
        fresh = _declare_bias(proto, node, constants[reader.weight.constant], len(change))
        return {fresh.name: fresh.replaced(change.astype(fresh.values().dtype))}
    if name not in constants or constants[name].size != len(change) or _read_twice(proto, name):
        return None
    old = constants[name].values()
    return {
        name: constants[name].replaced((old.astype(np.float64) + change.reshape(old.shape)).astype(old.dtype))
    }


def _read_twice(proto: onnx.ModelProto, name: str) -> bool:
    return sum(list(n.input).count(name) for n in proto.graph.node) > 1


def _declare_bias(proto: onnx.ModelProto, node: NodeProto, weight: Constant, length: int) -> Constant:
    name = fresh_name(f"{node.output[0]}.bias", names_of(proto.graph))
    values = np.zeros(length, dtype=weight.values().dtype)
    while len(node.input) < 2:
        node.input.append("")
    del node.input[2:]
    node.input.append(name)
    tensor = onnx.TensorProto(name=name, dims=[length], data_type=weight.data_type)
    if proto.ir_version >= INITIALIZERS_ALONE:
        proto.graph.initializer.append(tensor)
    else:
        proto.graph.node.insert(0, helper.make_node("Constant", [], [name], value=tensor))
    return Constant(name, (length,), weight.data_type, lambda: values)
