"""A node as its rule sees it: operands' axes, known integers, and a place to state facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onnx import NodeProto, helper

from onnxprune.coupling.groups import Role
from onnxprune.coupling.labels import Axis, Labels

if TYPE_CHECKING:
    from onnxprune.coupling.engine import Engine
    from onnxprune.model.constants import Array

Axes = list[Axis]
Shape = tuple[int, ...]


class Unfollowable(Exception):
    """A rule cannot tell what happens to its axes; the engine then pins them all.

    Args:
        reason: continues the sentence "left alone because ...".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class Site:
    """One node during coupling, and later during surgery.

    Attributes:
        node: the node.
        index: its position in the graph.
        engine: what is known of the whole model.
        memo: axes that the rule saw and the fix-up will need.
    """

    node: NodeProto
    index: int
    engine: Engine
    memo: dict[str, Axis] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._attributes = {a.name: a for a in self.node.attribute}

    @property
    def labels(self) -> Labels:
        """The labels of the model."""
        return self.engine.labels

    @property
    def name(self) -> str:
        """The node's name, or that of its first output."""
        return str(self.node.name or next((o for o in self.node.output if o), self.node.op_type))

    @property
    def opset(self) -> int:
        """Version of the node's operator set."""
        return int(self.engine.opsets.get(self.node.domain, 0))

    def attribute(self, name: str, default: Any = None) -> Any:
        """Value of an attribute, or the default."""
        found = self._attributes.get(name)
        return default if found is None else helper.get_attribute_value(found)

    def has(self, i: int) -> bool:
        """Whether input ``i`` is connected."""
        return i < len(self.node.input) and bool(self.node.input[i])

    def shape(self, i: int) -> Shape:
        """Shape of input ``i``.

        Raises:
            Unfollowable: it is unknown.
        """
        return self.engine.shape(self.node.input[i])

    def out_shape(self, i: int = 0) -> Shape:
        """Shape of output ``i``.

        Raises:
            Unfollowable: it is unknown.
        """
        return self.engine.shape(self.node.output[i])

    def axes(self, i: int) -> Axes:
        """Axes of input ``i``."""
        return self.engine.axes_of(self, i)

    def all_axes(self) -> list[Axes | None]:
        """Axes of every input, None for an absent optional one."""
        return [self.axes(i) if self.has(i) else None for i in range(len(self.node.input))]

    def value(self, i: int) -> Array | None:
        """Known integers (or single floats) that input ``i`` holds, None where unknown or absent."""
        return self.engine.value(self.node.input[i]) if self.has(i) else None

    def integers(self, attribute: str, i: int | None = None) -> list[int] | None:
        """Integers given as an attribute in old opsets and as input ``i`` in newer ones.

        Raises:
            Unfollowable: the input is there but what it holds is not known, or no whole numbers.
        """
        found = self.attribute(attribute)
        if found is not None:
            return [int(v) for v in found]
        if i is None or not self.has(i):
            return None
        value = self.value(i)
        if value is None:
            raise Unfollowable(f"the {attribute} of {self.node.op_type} are computed from data")
        if value.dtype.kind not in "iub":
            raise Unfollowable(f"the {attribute} of {self.node.op_type} are no whole numbers")
        return [int(v) for v in value.reshape(-1)]

    def pin_dynamic(self, axis: Axis, output: int, k: int) -> None:
        """Pin an axis whose length the fix-up could not state as a number."""
        if not self.engine.is_static(self.node.output[output], k):
            self.labels.pin(axis, "its length is dynamic")

    # facts

    def layer(self, weight: int, *, out: Axis, inner: Axis | None = None) -> None:
        """State that this node is a layer: ``out`` are its filters, ``inner`` what they contract."""
        self.engine.add_layer(self, weight, out=out, inner=inner)

    def role(self, i: int, role: Role) -> None:
        """State what the axes of input ``i`` mean to this node."""
        if self.has(i):
            for axis in self.axes(i):
                self.engine.set_role(axis, role, self)

    def macs(self, factor: float, axes: Sequence[Axis]) -> None:
        """State a cost of ``factor * prod(len(axis))`` multiply-accumulates."""
        self.engine.costs.append((factor, tuple(axes)))

    def statistic(self, axes: Sequence[Axis]) -> None:
        """State that the node takes a mean over these axes, so cutting them changes it.

        Weights that are normalised inside the graph stay whole: a mean over fewer of them would
        change all that are left.
        """
        if self.engine.is_constant(self.node.input[0]):
            for axis in axes:
                self.labels.pin(axis, f"weights are normalised over it in the graph, by {self.node.op_type}")
        self.engine.statistics[self.index] = tuple(axes)

    def contracted(self, axis: Axis, operands: Sequence[int]) -> None:
        """State a sum over an axis without weights of its own.

        A removed index adds nothing only where one operand is exactly zero there.
        """
        if not any(self.clean(i) for i in operands):
            self.labels.pin(
                axis, f"{self.node.op_type} sums over it where removed channels would not be zero"
            )
        self.engine.unfoldable.append(axis)

    def clean(self, i: int) -> bool:
        """Whether input ``i`` is exactly zero at removed indices."""
        return self.engine.is_clean(self.node.input[i])
