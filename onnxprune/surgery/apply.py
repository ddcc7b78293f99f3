"""Carries a plan out: cuts constants, mends attributes and shape operands, refreshes declared shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from onnxprune.coupling.coupling import Coupling, Survivors
from onnxprune.coupling.edits import Editor
from onnxprune.coupling.groups import Indices
from onnxprune.model.constants import Array, Constant
from onnxprune.model.model import Model
from onnxprune.model.names import fresh_name, names_of
from onnxprune.surgery.cut import CutConstants, Cuts, cut_constants
from onnxprune.surgery.numbers import keep_numbers
from onnxprune.surgery.tidy import tidy

INITIALIZERS_ALONE = 4
"""Before this IR version every initializer had to be a graph input too; new ones become nodes."""


@dataclass(frozen=True)
class Cut:
    """The result of surgery.

    Attributes:
        model: the pruned model.
        cuts: what each constant of the source lost, as in the report.
        survivors: what is left of every axis of the source.
        warnings: what a user should know.
    """

    model: Model
    cuts: Cuts
    survivors: Survivors
    warnings: tuple[str, ...] = ()


def apply(coupling: Coupling, kept: Mapping[str, Indices]) -> Cut:
    """Remove all units that are not kept; the source model is not touched.

    Args:
        coupling: of the source model.
        kept: group name to ascending kept unit positions; groups not named keep all.
    """
    survivors = coupling.survivors(kept)
    return _Surgeon(coupling, survivors).run()


class _Surgeon:
    def __init__(self, coupling: Coupling, survivors: Survivors) -> None:
        self.coupling = coupling
        self.survivors = survivors
        self.proto = onnx.ModelProto()
        self.proto.CopyFrom(coupling.model.proto)
        self.constants: dict[str, Constant] = {}
        self.overlays: list[tuple[int, int, Array, Array]] = []
        self.detached: set[str] = set()
        self.nodes: list[NodeProto] = []
        self.names = names_of(coupling.model.proto.graph)

    def run(self) -> Cut:
        cut = cut_constants(self.coupling, self.survivors)
        self.constants.update(cut.changed)
        self._rename(cut)
        for site, rule in self.coupling.engine.sites.values():
            if rule.fix is not None:
                editor = Editor(site, self.survivors, self.coupling.engine.same)
                rule.fix(site, editor)
                self._carry_out(editor)
        self._refresh_declared_shapes()
        resized = {name: constant.shape for name, constant in cut.changed.items()}
        numbers = keep_numbers(self.coupling, self.survivors, self.proto, self.overlays, resized)
        for (index, i), values in numbers.constants.items():
            self._set_input(self.proto.graph.node[index], i, values)
        overlays = [(index + len(self.nodes), i, mask, own) for index, i, mask, own in numbers.overlays]
        nodes = [*self.nodes, *self.proto.graph.node]
        del self.proto.graph.node[:]
        self.proto.graph.node.extend(nodes)
        proto, constants = tidy(self.proto, self._all_constants(), overlays, self.detached)
        source = self.coupling.model
        model = replace(source, proto=proto, constants=constants)
        warnings = tuple(
            f"{name!r} is read by several layers that were cut differently; each has a copy of its own now"
            for name in cut.split
        )
        return Cut(model, cut.cuts, self.survivors, warnings)

    def _rename(self, cut: CutConstants) -> None:
        graph = self.proto.graph
        for use, name in cut.renamed.items():
            self.detached.add(use.constant)
            graph.node[use.node].input[use.position] = name
        for name in cut.added:
            self._declare(cut.changed[name])
        declared = {t.name: t for t in graph.initializer}
        for name, constant in cut.changed.items():
            if name in declared:
                declared[name].CopyFrom(_emptied(constant))
        for value in (*graph.input, *graph.value_info):
            if value.name in cut.changed:
                _set_dims(value, cut.changed[value.name].shape)

    def _declare(self, constant: Constant) -> None:
        self.constants[constant.name] = constant
        self.names.add(constant.name)
        if self.proto.ir_version >= INITIALIZERS_ALONE:
            self.proto.graph.initializer.append(_emptied(constant))
        else:
            self.nodes.append(helper.make_node("Constant", [], [constant.name], value=_emptied(constant)))

    def _carry_out(self, editor: Editor) -> None:
        node = self.proto.graph.node[editor.site.index]
        if editor.replacement is not None:
            op_type, constants = editor.replacement
            node.op_type = op_type
            self.detached.update(node.input[1:])
            del node.attribute[:], node.input[1:]
            for i, values in enumerate(constants):
                self._set_input(node, i + 1, values)
        for name in editor.removed_attributes:
            for attribute in [a for a in node.attribute if a.name == name]:
                node.attribute.remove(attribute)
        for name, value in editor.attributes.items():
            for attribute in [a for a in node.attribute if a.name == name]:
                node.attribute.remove(attribute)
            node.attribute.append(helper.make_attribute(name, value))
        for i, values in editor.inputs.items():
            self._set_input(node, i, values)
        for i, (mask, values) in editor.overlays.items():
            self.overlays.append((editor.site.index, i, mask, values))

    def _set_input(self, node: NodeProto, i: int, values: Array) -> None:
        while len(node.input) <= i:
            node.input.append("")
        if node.input[i]:
            self.detached.add(node.input[i])
        name = fresh_name(f"{node.input[i] or node.output[0]}.kept", self.names)
        tensor = numpy_helper.from_array(np.asarray(values, order="C"), name)
        self._declare(Constant(name, tuple(values.shape), tensor.data_type, lambda: values))
        node.input[i] = name

    def _all_constants(self) -> dict[str, Constant]:
        return {**self.coupling.model.constants, **self.constants}

    def _refresh_declared_shapes(self) -> None:
        axes = self.coupling.engine.axes
        for value in self.proto.graph.value_info:
            own = axes.get(value.name)
            if own is None or not value.type.HasField("tensor_type"):
                continue
            for axis, dim in zip(own, value.type.tensor_type.shape.dim, strict=False):
                if not self.survivors.mask(axis).all() and dim.HasField("dim_value"):
                    dim.dim_value = int(self.survivors.mask(axis).sum())


def _emptied(constant: Constant) -> TensorProto:
    return TensorProto(name=constant.name, dims=constant.shape, data_type=constant.data_type)


def _set_dims(value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> None:
    for dim, n in zip(value.type.tensor_type.shape.dim, shape, strict=False):
        dim.dim_value = n
