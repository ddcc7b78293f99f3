"""Which values carry the units of a group, as the layers that read them see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from onnx import TensorProto

from onnxprune.calibration.memory import fixed_batch
from onnxprune.coupling import Coupling
from onnxprune.coupling.engine import FoundLayer
from onnxprune.coupling.groups import Indices
from onnxprune.coupling.labels import Axis


@dataclass(frozen=True)
class Carrier:
    """A value and the axes of it that matter.

    Attributes:
        value: name of the value.
        rank: number of its axes.
        channel: the axis that units run along.
        batch: the axis that samples run along; None where they share no axis of their own.
        channels: length of the channel axis.
        kind: its element type, as ONNX numbers them.
    """

    value: str
    rank: int
    channel: int
    batch: int | None
    channels: int
    kind: int = TensorProto.FLOAT


@dataclass(frozen=True, eq=False)
class Reading:
    """How a carrier holds the units of one group.

    Attributes:
        carrier: the value.
        nodes: indices of the nodes that read the value with weights; empty where it is read from the layer
            that computes it.
        layers: names of these nodes.
        units: (channels,) unit of each index of the channel axis, -1 for none.
    """

    carrier: Carrier
    nodes: tuple[int, ...]
    layers: tuple[str, ...]
    units: Indices


def readings(coupling: Coupling) -> Mapping[str, tuple[Reading, ...]]:
    """The readings of every group that may be cut, by name; none for the others.

    A unit's activation is what is multiplied with weights next: behind the normalisation and the activation
    function of its layer, pooled if it is pooled. A value that several nodes read is one reading. Units that
    no weights read (keys and queries of attention) are taken as their layers compute them.
    """
    found: dict[str, dict[tuple[str, int], Reading]] = {g.name: {} for g in coupling.structure.groups}
    for layer in coupling.engine.layers:
        if layer.inner is not None:
            for value in _data(coupling, layer):
                _add(coupling, found, layer, layer.inner, value)
    for layer in coupling.engine.layers:
        own = coupling.units.rows(layer.out)
        unread = {name for name in _names(coupling, own) if not any(r.nodes for r in found[name].values())}
        if unread:
            _add(coupling, found, layer, layer.out, layer.site.node.output[0], only=unread)
    return {
        group.name: () if group.held else tuple(found[group.name].values())
        for group in coupling.structure.groups
    }


def _data(coupling: Coupling, layer: FoundLayer) -> Iterator[str]:
    engine = coupling.engine
    yield from (n for n in layer.site.node.input if n in engine.axes and not engine.is_constant(n))


def _names(coupling: Coupling, positions: Mapping[int, Axis]) -> list[str]:
    return [coupling.structure.groups[g].name for g in positions]


def _add(
    coupling: Coupling,
    found: dict[str, dict[tuple[str, int], Reading]],
    layer: FoundLayer,
    weight_axis: Axis,
    value: str,
    *,
    only: set[str] | None = None,
) -> None:
    """Enter the first axis of a value on which the groups of a weight's axis run."""
    rows = coupling.units.rows
    wanted = set(_names(coupling, rows(weight_axis)))
    wanted &= wanted if only is None else only
    site = layer.site
    for channel, axis in enumerate(coupling.engine.axes.get(value, ())):
        held = {coupling.structure.groups[g].name: units for g, units in rows(axis).items()}
        if not wanted & set(held):
            continue
        carrier = _carrier(coupling, layer, value, channel)
        for name in sorted(wanted & set(held)):
            before = found[name].get((value, channel))
            nodes = {**_nodes(before), **({site.index: site.name} if only is None else {})}
            found[name][value, channel] = Reading(carrier, tuple(nodes), tuple(nodes.values()), held[name])
        return


def _nodes(reading: Reading | None) -> dict[int, str]:
    return {} if reading is None else dict(zip(reading.nodes, reading.layers, strict=True))


def _carrier(coupling: Coupling, layer: FoundLayer, value: str, channel: int) -> Carrier:
    shape = coupling.traces.first.shapes[value]
    batch = _batch_axis(coupling, value, channel)
    weight = coupling.model.constants[layer.weight]
    kind = weight.data_type if weight.is_float else TensorProto.FLOAT  # quantised ones are made float first
    return Carrier(value, len(shape), channel, batch, shape[channel], kind)


def _batch_axis(coupling: Coupling, value: str, channel: int) -> int | None:
    """The first axis but the channels' that grows with the batch.

    Where the batch is folded into a longer axis (windows of an image, heads), it is the outer factor, as
    reshapes are row-major.
    """
    first, second = coupling.traces.first, coupling.traces.second
    shape, other = first.shapes[value], second.shapes.get(value, first.shapes[value])
    if first.freeze.batch > 1:
        pair = (first.freeze.batch, second.freeze.batch)
        return next(
            (
                k
                for k, (n, m) in enumerate(zip(shape, other, strict=True))
                if k != channel and n * pair[1] == m * pair[0] and n % pair[0] == 0
            ),
            None,
        )
    fixed = fixed_batch(coupling)
    exact = next((k for k, n in enumerate(shape) if k != channel and n == fixed), None)
    return 0 if exact is None and fixed > 1 and channel != 0 and shape[0] % fixed == 0 else exact
