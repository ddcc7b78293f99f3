"""Numbers that a graph computes from sizes: they keep their values when the sizes change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from onnxprune.coupling.coupling import Coupling, Survivors
from onnxprune.model.constants import Array
from onnxprune.model.trace import Shape, computed_from
from onnxprune.surgery.tidy import Overlay

Mask = npt.NDArray[np.bool_]
Place = tuple[int, int]
"""(node index, input position) of an operand."""


@dataclass(frozen=True)
class Numbers:
    """What has to be done so that numbers keep their values.

    Attributes:
        constants: operands that become constants.
        overlays: all operands that stay computed but for some entries, in place of those given.
    """

    constants: Mapping[Place, Array]
    overlays: tuple[Overlay, ...]


def keep_numbers(
    coupling: Coupling,
    survivors: Survivors,
    proto: ModelProto,
    overlays: Iterable[Overlay],
    resized: Mapping[str, Shape],
) -> Numbers:
    """Find the operands that would change because a size that they are computed from was cut.

    Fix-ups give numbers to whatever stands for a cut axis. All other numbers that come of sizes have to
    stay as they were: an attention scale, or the width of a head that is computed from the width of
    another tensor. An entry that does not depend on symbolic dims is written down. Where one does, the
    sizes themselves are restored before anything is computed from them.

    Args:
        coupling: of the source.
        survivors: what is left of its axes.
        proto: the light graph after all fix-ups but the overlays, its nodes in the order of the source.
        overlays: that fix-ups have asked for.
        resized: shapes that constants have after the cut, by name; those that keep theirs may be absent.
    """
    given = {(index, i): (mask, values) for index, i, mask, values in overlays}
    keeper = _Keeper(coupling, proto, given, resized)
    axes = coupling.engine.axes
    cut = {
        name: resized[name]
        if name in resized
        else tuple(int(survivors.mask(axis).sum()) for axis in axes[name])
        for name in keeper.measured()
    }
    shapes = coupling.engine.traces.first.shapes
    if any(shape != shapes.get(name) for name, shape in cut.items()):
        keeper.after = computed_from(coupling.model, coupling.engine.traces.first, {**shapes, **cut})
        keeper.keep()
    own = tuple((index, i, mask, values) for (index, i), (mask, values) in keeper.overlays.items())
    return Numbers(keeper.constants, own)


class _Keeper:
    def __init__(
        self,
        coupling: Coupling,
        proto: ModelProto,
        overlays: dict[Place, tuple[Mask, Array]],
        resized: Mapping[str, Shape],
    ) -> None:
        self.engine = coupling.engine
        self.sized = {*self.engine.axes, *resized}
        self.before = self.engine.traces.first.values
        self.source = coupling.model.proto.graph.node
        self.nodes = proto.graph.node
        self.overlays = overlays
        self.constants: dict[Place, Array] = {}
        self.after: Mapping[str, Array] = {}

    def measured(self) -> Iterator[str]:
        """Values whose sizes numbers are computed from."""
        for node in self.source:
            if node.output and node.output[0] in self.before:
                yield from (name for name in node.input if name in self.sized)

    def keep(self) -> None:
        """Write changed entries down, or restore the sizes that they come of."""
        changed = [place for place in self._readers() if self._changed(place).any()]
        if not all(self._writable(place) for place in changed):
            sizes = [place for place in self._readers_of_sizes() if self._changed(place).any()]
            changed = [place for place in sizes if self._writable(place)]
        for place in changed:
            self._write(place)

    def _readers(self) -> Iterator[Place]:
        """Operands of nodes that compute more than numbers, where they are still computed from sizes."""
        for index, node in enumerate(self.source):
            if not all(name in self.before for name in node.output if name):
                yield from self._computed(index)

    def _computed(self, index: int) -> Iterator[Place]:
        for i, name in enumerate(self.source[index].input):
            if name in self.before and self.nodes[index].input[i] == name:
                yield index, i

    def _readers_of_sizes(self) -> Iterator[Place]:
        """Operands that are the size of a tensor, whoever reads them."""
        sizes = {
            name
            for node in self.source
            if any(read in self.sized for read in node.input)
            for name in node.output
            if name in self.before
        }
        for index, node in enumerate(self.source):
            yield from ((index, i) for index, i in self._computed(index) if node.input[i] in sizes)

    def _name(self, place: Place) -> str:
        index, i = place
        return str(self.source[index].input[i])

    def _changed(self, place: Place) -> Mask:
        """Entries of an operand that differ from the source's and were given no number, flat."""
        name = self._name(place)
        before, after = self.before[name], self.after.get(name)
        if after is None:
            return np.zeros(before.size, dtype=bool)
        if after.shape != before.shape:
            return np.ones(before.size, dtype=bool)
        return np.asarray(before != after).reshape(-1) & ~self._given(place)

    def _given(self, place: Place) -> Mask:
        if place in self.overlays:
            return self.overlays[place][0].reshape(-1)
        return np.zeros(self.before[self._name(place)].size, dtype=bool)

    def _writable(self, place: Place) -> bool:
        """Whether what has changed does not depend on symbolic dims."""
        fixed = self.engine.same(self._name(place)).reshape(-1) | self._given(place)
        return bool(fixed[self._changed(place)].all())

    def _write(self, place: Place) -> None:
        name = self._name(place)
        before, given = self.before[name], self._given(place)
        values = before.copy()
        if place in self.overlays:
            values.reshape(-1)[given] = self.overlays[place][1].reshape(-1)[given]
        if (self.engine.same(name).reshape(-1) | given).all():
            self.overlays.pop(place, None)
            self.constants[place] = values
        else:
            mask = given | self._changed(place)
            self.overlays[place] = (mask.reshape(before.shape), values)
