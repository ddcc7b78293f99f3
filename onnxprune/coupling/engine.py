"""Walks the graph once and lets each operator's rule say how its axes hang together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import AttributeProto, NodeProto, TensorProto

from onnxprune.coupling.branches import follow_branch
from onnxprune.coupling.groups import Role
from onnxprune.coupling.labels import Axis, Labels
from onnxprune.coupling.registry import Rule
from onnxprune.coupling.rules import RULES
from onnxprune.coupling.site import Axes, Shape, Site, Unfollowable
from onnxprune.model.constants import Array, Constant
from onnxprune.model.model import Model
from onnxprune.model.trace import TracePair

INTEGERS = (TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.UINT8, TensorProto.BOOL)


class Use(NamedTuple):
    """A constant where it is read: vectors once a reader, weights once for all readers."""

    constant: str
    node: int = -1
    position: int = -1


class Birth(NamedTuple):
    """Where a run of leaves comes from: an axis of a constant."""

    start: int
    use: Use
    axis: int


@dataclass
class FoundLayer:
    """A layer as its rule stated it."""

    site: Site
    weight: str
    out: Axis
    inner: Axis | None


class Engine:
    """Everything that is known of one model while its nodes are visited.

    Attributes:
        labels: fates of indices.
        axes: axes of every value that is not a constant.
        uses: axes of every use of a constant.
        births: runs of leaves born with constants, in order.
        roles: meaning of (use, axis), and the site that said so.
        layers: nodes with weights, in graph order.
        costs: multiply-accumulate terms.
        statistics: axes that a node (by index) takes a mean over.
        unfoldable: axes that are summed without weights.
        fast_axes: axes that a convolution reads or writes, with the node's index.
        sites: visited nodes with their rules, by index; barriers have none.
    """

    def __init__(self, model: Model, traces: TracePair) -> None:
        self.model = model
        self.traces = traces
        self.labels = Labels()
        self.opsets = {
            ("" if o.domain == "ai.onnx" else o.domain): o.version for o in model.proto.opset_import
        }
        self.axes: dict[str, Axes] = {}
        self.uses: dict[Use, Axes] = {}
        self.births: list[Birth] = []
        self.roles: dict[tuple[Use, int], tuple[Role, Site]] = {}
        self.layers: list[FoundLayer] = []
        self.costs: list[tuple[float, tuple[Axis, ...]]] = []
        self.statistics: dict[int, tuple[Axis, ...]] = {}
        self.unfoldable: list[Axis] = []
        self.fast_axes: list[tuple[Axis, int]] = []
        self.sites: dict[int, tuple[Site, Rule]] = {}
        self._clean: dict[str, bool] = {}
        self._constant_values: set[str] = set()

    def run(self) -> None:
        """Visit every node, then pin what the graph hands out."""
        graph = self.model.proto.graph
        for value in graph.input:
            shape = self.traces.first.shapes.get(value.name)
            if value.name not in self.model.constants and shape is not None:
                self.axes[value.name] = [
                    self.labels.pinned(n, f"it is an axis of the input {value.name!r}") for n in shape
                ]
        for index, node in enumerate(graph.node):
            if node.op_type != "Constant" or node.domain:
                self._visit(index, node)
        for value in graph.output:
            for use in [u for u in self.uses if u.constant == value.name]:
                self._pin_all(self.uses[use], f"it is the output {value.name!r}")
            self._pin_all(self.axes.get(value.name, []), f"it feeds the output {value.name!r}")
            if value.name in self.model.constants:
                self._constant_axes(Use(value.name))
                self._pin_all(self.uses[Use(value.name)], f"it is the output {value.name!r}")

    # queries of rules

    def shape(self, name: str) -> Shape:
        """Traced shape of a value.

        Raises:
            Unfollowable: it is unknown.
        """
        found = self.traces.first.shapes.get(name)
        if found is None:
            raise Unfollowable(f"the shape of {name!r} is unknown")
        return found

    def axes_of(self, site: Site, i: int) -> Axes:
        """Axes of an operand; those of a constant are born on first use."""
        name = site.node.input[i]
        constant = self.model.constants.get(name)
        if constant is not None:
            vector = sum(n > 1 for n in constant.shape) < 2 or constant.data_type in INTEGERS
            return self._constant_axes(Use(name, site.index, i) if vector else Use(name))
        return self.axes_by_name(name)

    def axes_by_name(self, name: str) -> Axes:
        """Axes of a value that is no constant; what shape arithmetic computes stays whole."""
        if name in self.axes:
            return self.axes[name]
        return [self.labels.pinned(n, "it is computed from shapes") for n in self.shape(name)]

    def value(self, name: str) -> Array | None:
        """Integers, or a single real number, that a value is known to hold, computed or stored."""
        computed = self.traces.first.values.get(name)
        if computed is not None:
            return computed
        constant = self.model.constants.get(name)
        if (
            constant is not None
            and (constant.data_type in INTEGERS or constant.size == 1)
            and constant.can_be_cut
        ):
            values = constant.values()
            return None if np.iscomplexobj(values) else values
        return None

    def scalar(self, name: str) -> float | None:
        """The single number that a constant holds."""
        constant = self.model.constants.get(name)
        return (
            float(constant.values().reshape(-1)[0]) if constant is not None and constant.size == 1 else None
        )

    def same(self, name: str) -> npt.NDArray[np.bool_]:
        """Which entries of a known value do not depend on the symbolic dims."""
        value = self.value(name)
        assert value is not None
        other = self.traces.second.values.get(name, value)
        if other.shape != value.shape:
            return np.zeros(value.shape, dtype=bool)
        return np.asarray(other == value)

    def is_fixed(self, site: Site, attribute: str, i: int, entry: int | None = None) -> bool:
        """Whether an operand (or one entry of it) has the same integers whatever the symbolic dims."""
        if (attribute and site.attribute(attribute) is not None) or not site.has(i):
            return True
        same = self.same(site.node.input[i]).reshape(-1)
        return bool(same.all()) if entry is None else bool(same[entry])

    def is_static(self, name: str, axis: int) -> bool:
        """Whether a dim has the same length whatever the symbolic dims."""
        return self.traces.is_static(name, axis)

    def is_constant(self, name: str) -> bool:
        """Whether a value is a constant or computed from constants alone."""
        return name in self.model.constants or name in self._constant_values

    def set_clean(self, names: Iterable[str], clean: bool) -> None:
        """State whether values are exactly zero at removed indices."""
        self._clean.update(dict.fromkeys(names, clean))

    def is_clean(self, name: str) -> bool:
        """Whether a value is exactly zero at removed indices in the masked source."""
        return self._clean.get(name, True)

    def free(self, axes: Axes) -> bool:
        """Whether any index of any axis may be removed."""
        return any(self.labels.is_free(axis) for axis in axes)

    def why(self, axis: Axis) -> str:
        """Why an axis is pinned."""
        return next(iter(self.labels.reasons(axis)), "it must stay whole")

    # facts stated by rules

    def add_layer(self, site: Site, weight: int, *, out: Axis, inner: Axis | None) -> None:
        """Record a layer and the roles of its weight's axes."""
        origin = self._origin(out) or (self._origin(inner) if inner is not None else None)
        name = origin.use.constant if origin else site.node.input[weight]
        self.layers.append(FoundLayer(site, name, out, inner))
        self.set_role(out, Role.FILTER, site)
        if inner is not None:
            self.set_role(inner, Role.INPUT, site)

    def set_role(self, axis: Axis, role: Role, site: Site) -> None:
        """Record what the constant axis behind these labels means; the first statement holds."""
        origin = self._origin(axis)
        if origin is not None:
            self.roles.setdefault((origin.use, origin.axis), (role, site))

    def _origin(self, axis: Axis) -> Birth | None:
        if not len(axis) or not self.births:
            return None
        k = bisect_right(self.births, int(axis[0]), key=lambda birth: birth.start) - 1
        if k < 0:
            return None
        birth = self.births[k]
        length = len(self.uses[birth.use][birth.axis])
        return birth if birth.start <= int(axis[0]) < birth.start + length else None

    # visiting

    def _visit(self, index: int, node: NodeProto) -> None:
        computed = self.traces.first.values
        if node.output and all(name in computed for name in node.output if name):
            return
        site = Site(node, index, self)
        rule = RULES.get(node.domain, node.op_type)
        try:
            if node.op_type == "If" and not node.domain:
                follow_branch(self, site)
                return
            if rule is None:
                raise Unfollowable(f"the operator {node.op_type} is not followed")
            outputs = rule.couple(site)
            self._accept(site, rule, outputs)
        except Unfollowable as stop:
            self._barrier(site, stop.reason)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as fault:
            # a node that breaks its own schema is no reason to give up the model
            self._barrier(site, f"it is not formed as {node.op_type} should be ({fault})")

    def _accept(self, site: Site, rule: Rule, outputs: list[Axes]) -> None:
        names = site.node.output
        for name, axes in zip(names, outputs, strict=False):
            shape = self.traces.first.shapes.get(name)
            if name and shape is not None and tuple(len(axis) for axis in axes) != shape:
                raise Unfollowable(f"its result {name!r} has an unexpected shape")
        for name, axes in zip(names, outputs, strict=False):
            if name:
                self.axes[name] = axes
        self.sites[site.index] = (site, rule)
        if all(self.is_constant(name) for name in site.node.input if name) and site.node.input:
            self._constant_values.update(names)
        self.set_clean(names, rule.clean(site))

    def _barrier(self, site: Site, reason: str) -> None:
        text = f"it meets {site.node.op_type} ({site.name}): {reason}"
        self._list_barrier(site)
        for i, name in enumerate(site.node.input):
            if name and (name in self.axes or name in self.model.constants):
                self._pin_all(self.axes_of(site, i), text)
        for name in _captured(site.node):
            self._pin_all(self.axes.get(name, []), text)
            if name in self.model.constants:
                self._pin_all(self._constant_axes(Use(name)), text)
        for name in site.node.output:
            shape = self.traces.first.shapes.get(name)
            if name and shape is not None:
                self.axes[name] = [
                    self.labels.pinned(n, f"it comes from {site.node.op_type} ({site.name})") for n in shape
                ]

    def _list_barrier(self, site: Site) -> None:
        """List a node that is not followed as a layer if it has weights, so that reports can name it."""
        if any(found.site.index == site.index for found in self.layers[-2:]):
            return
        for i, name in enumerate(site.node.input):
            constant = self.model.constants.get(name)
            if constant is not None and constant.is_float and sum(n > 1 for n in constant.shape) > 1:
                axes = self.axes_of(site, i)
                out = axes[0] if len(axes) > 2 or site.attribute("transB", 0) else axes[-1]
                self.layers.append(FoundLayer(site, name, out, None))
                return

    def _pin_all(self, axes: Axes, reason: str) -> None:
        for axis in axes:
            self.labels.pin(axis, reason)

    def _constant_axes(self, use: Use) -> Axes:
        axes = self.uses.get(use)
        if axes is None:
            constant = self.model.constants[use.constant]
            axes = self.uses[use] = []
            for k, length in enumerate(constant.shape):
                axis = self._born(constant, length)
                axes.append(axis)
                if length > 1 and constant.can_be_cut:
                    self.births.append(Birth(int(axis[0]), use, k))
        return axes

    def _born(self, constant: Constant, length: int) -> Axis:
        if not constant.can_be_cut:
            return self.labels.pinned(length, "its elements are packed and cannot be cut")
        return self.labels.fresh(length)


def _captured(node: NodeProto) -> set[str]:
    """Names that sub-graphs of a node read, from wherever."""
    names: set[str] = set()
    for attribute in node.attribute:
        graphs = [attribute.g] if attribute.type == AttributeProto.GRAPH else list(attribute.graphs)
        for graph in graphs:
            names.update(o.name for o in graph.output)
            for inner in graph.node:
                names.update(inner.input)
                names |= _captured(inner)
    return names
