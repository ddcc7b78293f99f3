"""Lets normalisations and means of the masked source take their statistic over what is kept.

Such a node, in whatever form an exporter writes it, runs once on the kept indices alone, as it will in
the pruned model, and its result is laid out at full length again. At the removed indices stands what
the node makes of all indices: the rest of the network must not depend on it.

    x ──> Gather kept ──> node ──> Gather positions ──> Where kept ──> y
    └────────────────────> node ─────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper

from onnxprune.coupling.coupling import Coupling, Survivors
from onnxprune.coupling.edits import Editor
from onnxprune.coupling.engine import Engine, Use
from onnxprune.coupling.site import Axes
from onnxprune.execution.program import Program

Masks = Mapping[int, npt.NDArray[np.bool_]]
"""By axis, for each index whether it is kept; axes that keep all are absent."""

_FIRST_WHERE = 9
"""The opset that brought the operator; older models hold nothing but float32."""


def use_kept_statistics(program: Program, coupling: Coupling, survivors: Survivors) -> None:
    """Rewrite every node of the program that takes a statistic over an axis that was cut."""
    for index, axes in coupling.engine.statistics.items():
        if not all(survivors.mask(axis).all() for axis in axes):
            program.instead[index] = _Rewriting(program, coupling, survivors, index).run()


class _Rewriting:
    """The nodes that take the place of one."""

    def __init__(self, program: Program, coupling: Coupling, survivors: Survivors, index: int) -> None:
        self.program = program
        self.engine = coupling.engine
        self.survivors = survivors
        self.index = index
        self.original = program.proto.graph.node[index]
        self.nodes: list[NodeProto] = []

    def run(self) -> list[NodeProto]:
        compact, full = self._pruned(), NodeProto()
        full.CopyFrom(self.original)
        full.name = ""  # ONNX Runtime wants names of nodes unique
        cut: dict[int, Masks] = {}
        for i, name in enumerate(self.original.output):
            masks = self._masks(self.engine.axes.get(name, [])) if name else {}
            if name:
                full.output[i] = self.program.fresh(f"{name}/all")
            if masks:  # else it is the statistic itself, or a mean that the axis is gone from
                cut[i] = masks
                compact.output[i] = self.program.fresh(f"{name}/kept")
        self.nodes += [compact, full] if cut else [compact]
        for i, masks in cut.items():
            self._lay_out(compact.output[i], full.output[i], self.original.output[i], masks)
        return self.nodes

    def _pruned(self) -> NodeProto:
        """The node as surgery leaves it, its operands reduced to what is kept."""
        node = NodeProto()
        node.CopyFrom(self.original)
        node.name = ""
        for i, name in enumerate(self.original.input):
            for axis, kept in self._masks(_operand_axes(self.engine, self.index, i)).items():
                indices = self.program.hold(f"{name}/kept{axis}", np.flatnonzero(kept))
                node.input[i] = self._add("Gather", [node.input[i], indices], f"{name}/kept", axis=axis)
        site, rule = self.engine.sites[self.index]
        if rule.fix is not None:
            editor = Editor(site, self.survivors, self.engine.same)
            rule.fix(site, editor)
            changed = {**editor.attributes, **dict.fromkeys(editor.removed_attributes)}
            for attribute in [a for a in node.attribute if a.name in changed]:
                node.attribute.remove(attribute)
            node.attribute.extend(helper.make_attribute(k, v) for k, v in changed.items() if v is not None)
        return node

    def _lay_out(self, compact: str, full: str, output: str, masks: Masks) -> None:
        """Put a compact result back to where its indices were."""
        rank = len(self.engine.axes[output])
        everywhere = np.ones((1,) * rank, dtype=bool)
        for axis, kept in masks.items():
            positions = self.program.hold(f"{output}/positions{axis}", np.maximum(np.cumsum(kept) - 1, 0))
            compact = self._add("Gather", [compact, positions], f"{output}/laid", axis=axis)
            shape = [1] * rank
            shape[axis] = len(kept)
            everywhere = everywhere & kept.reshape(shape)
        self._choose(everywhere, compact, full, output)

    def _choose(self, where: npt.NDArray[np.bool_], compact: str, full: str, output: str) -> None:
        if self.engine.opsets.get("", 0) >= _FIRST_WHERE:
            mask = self.program.hold(f"{output}/mask", where)
            self.nodes.append(self.program.node("Where", [mask, compact, full], output))
            return
        ones, zeros = (
            self.program.hold(f"{output}/mask", mask.astype(np.float32)) for mask in (where, ~where)
        )
        terms = [
            self._add("Mul", [value, factor], f"{output}/part")
            for value, factor in ((compact, ones), (full, zeros))
        ]
        self.nodes.append(self.program.node("Add", terms, output))

    def _masks(self, axes: Axes) -> Masks:
        masks = {axis: self.survivors.mask(labels) for axis, labels in enumerate(axes)}
        return {axis: mask for axis, mask in masks.items() if not mask.all()}

    def _add(self, op: str, inputs: list[str], wanted: str, **attributes: int) -> str:
        output = self.program.fresh(wanted)
        self.nodes.append(self.program.node(op, inputs, output, **attributes))
        return output


def _operand_axes(engine: Engine, index: int, i: int) -> Axes:
    """Axes of an operand as coupling left them; none where it never looked at them."""
    name = engine.model.proto.graph.node[index].input[i]
    if name in engine.axes:
        return engine.axes[name]
    return engine.uses.get(Use(name, index, i), engine.uses.get(Use(name), []))
