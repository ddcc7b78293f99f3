"""Where the channels of a group are read: masking them there is the same as removing them.

A channel acts on the rest of the network only where an operator mixes channels: it is one of those that
a convolution or a matrix product sums up. Everything in between (activations, normalisations with
stored statistics, pooling, concatenation) keeps channels apart. Multiplying the mixed operand by zeros
at the removed channels is therefore the masked source, and needs no change of any weight.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnxprune.coupling import Coupling
from onnxprune.coupling.groups import Group
from onnxprune.coupling.labels import Axis
from onnxprune.model.detach import is_constant


@dataclass(frozen=True)
class Place:
    """An operand that is to be masked.

    Attributes:
        node: index of the node that mixes its channels.
        operand: position among the node's inputs.
        value: name of the operand.
        axis: that the group runs along.
    """

    node: int
    operand: int
    value: str
    axis: int


def mixing_places(coupling: Coupling, group: Group) -> tuple[Place, ...]:
    """The operands at which the units of a group enter sums over channels, in graph order."""
    position = [own.name for own in coupling.structure.groups].index(group.name)
    runs = _Runs(coupling, position)
    contracting = {
        found.site.index
        for found in coupling.engine.layers
        if found.inner is not None and runs.along(found.inner)
    }
    places: list[Place] = []
    for index, node in enumerate(coupling.model.proto.graph.node):
        if is_constant(node):
            continue
        operands = [
            Place(index, i, name, axis)
            for i, name in enumerate(node.input)
            if name and not coupling.engine.is_constant(name)
            for axis in runs.axes(name)
        ]
        if operands and (index in contracting or not any(runs.axes(name) for name in node.output)):
            places += operands
    return tuple(places)


class _Runs:
    """Whether a group runs along an axis."""

    def __init__(self, coupling: Coupling, position: int) -> None:
        self._coupling = coupling
        self._position = position

    def along(self, axis: Axis) -> bool:
        return self._position in self._coupling.units.rows(axis)

    def axes(self, name: str) -> list[int]:
        """Positions of the axes of a value that the group runs along."""
        return [k for k, axis in enumerate(self._coupling.engine.axes.get(name, ())) if self.along(axis)]
