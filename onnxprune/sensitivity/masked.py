"""Runs a model with units of one group masked, again and again, without building it again.

The graph is cut in two where the group's channels are first mixed. The part in front runs once a batch;
the part behind runs once for every choice of units, with masks that are fed:

    image ──> in front ──> values ──┬──> behind, 10 % of the group masked ──> outputs
                                    ├──> behind, 25 % masked             ──> outputs
                                    └──> ...

Both parts hold their weights, so that ONNX Runtime packs and fuses as it does for the whole model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from onnx import NodeProto, ValueInfoProto, helper

from onnxprune.coupling import Coupling
from onnxprune.coupling.groups import Group, Indices
from onnxprune.coupling.site import Axes
from onnxprune.evaluation import Predict
from onnxprune.evaluation.predict import Feeding
from onnxprune.execution import Refusal, Runner
from onnxprune.model.constants import Array
from onnxprune.model.detach import is_constant
from onnxprune.model.model import Model
from onnxprune.sensitivity.parts import downstream, frontier, part
from onnxprune.sensitivity.places import Place, mixing_places


class Unmaskable(Exception):
    """Masks do not do for this group; the message says why."""


@dataclass(frozen=True, eq=False)
class _Front:
    """What the part in front made of some samples: values by name, and how many samples are wanted."""

    values: Mapping[str, Any]
    count: int


class MaskedRuns:
    """One model, and any choice of units of one group.

    Args:
        coupling: of the model.
        group: whose units are masked; no normalisation may take a statistic over them.
        threads: of ONNX Runtime.

    Raises:
        Unmaskable: a statistic is taken over the group, nothing mixes it, or a part does not load.
    """

    def __init__(self, coupling: Coupling, group: Group, *, threads: int | None = None) -> None:
        self._coupling = coupling
        self._group = group
        self._threads = threads
        self._places = mixing_places(coupling, group)
        if group.changes_statistic or not self._places:
            raise Unmaskable("a statistic is taken over it" if self._places else "nothing mixes it")
        model = coupling.model
        self._behind = downstream(model, {place.node for place in self._places})
        self._read = frontier(model, self._behind)
        made = {name for index in self._behind for name in model.proto.graph.node[index].output}
        self._passed = [value.name for value in model.proto.graph.output if value.name not in made]
        self._feeding = Feeding(model)
        self._prefix = self._load(self._in_front())
        self._suffix: Runner | None = None
        self._last: tuple[Mapping[str, Array], list[_Front]] | None = None

    def keeping(self, kept: Indices) -> Predict:
        """Runs the model with all units but these masked, (kept,) ascending."""
        survivors = self._coupling.survivors({self._group.name: kept})
        axes = self._coupling.engine.axes
        masks = {
            mask_name(place): _along(place, survivors.mask(axes[place.value][place.axis]), axes)
            for place in self._places
        }
        return partial(self._run, masks)

    def _run(self, masks: Mapping[str, Array], feed: Mapping[str, Array]) -> Mapping[str, Any]:
        found = []
        for front in self._fronts(feed):
            if self._suffix is None:
                self._suffix = self._load(self._masked(front.values))
            dtype = front.values[self._places[0].value].dtype
            fed = {name: front.values[name] for name in self._read}
            fed.update((name, mask.astype(dtype)) for name, mask in masks.items())
            outputs = {**{name: front.values[name] for name in self._passed}, **self._suffix.run(fed)}
            found.append((outputs, front.count))
        return self._feeding.joined(found)

    def _fronts(self, feed: Mapping[str, Array]) -> list[_Front]:
        """The values in front; those of the last batch are kept, as several choices ask for them."""
        if self._last is None or self._last[0] is not feed:
            parts = self._feeding.parts(feed)
            fronts = [_Front({**part.feed, **self._prefix.run(part.feed)}, part.count) for part in parts]
            self._last = (feed, fronts)
        return self._last[1]

    def _in_front(self) -> Model:
        """Makes what the part behind reads."""
        inputs = {value.name for value in self._coupling.model.proto.graph.input}
        wanted = [name for name in dict.fromkeys((*self._read, *self._passed)) if name not in inputs]
        return part(self._coupling.model, outputs=[ValueInfoProto(name=name) for name in wanted])

    def _masked(self, values: Mapping[str, Any]) -> Model:
        """The part behind, a mask multiplied to every operand that mixes the group.

        Args:
            values: what it reads, for their types.
        """
        model = self._coupling.model
        dtype = _float_type(values[self._places[0].value])
        inputs = [self._declared(name, values[name]) for name in self._read]
        axes = self._coupling.engine.axes
        for name, place in {mask_name(place): place for place in self._places}.items():
            shape = _along(place, np.zeros(len(axes[place.value][place.axis])), axes).shape
            inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        outputs = [value for value in model.proto.graph.output if value.name not in self._passed]
        return part(model, outputs=outputs, inputs=inputs, nodes=self._masked_nodes())

    def _masked_nodes(self) -> list[NodeProto]:
        by_node: dict[int, list[Place]] = {}
        for place in self._places:
            by_node.setdefault(place.node, []).append(place)
        behind, masked = set(self._behind), {""}
        found: list[NodeProto] = []
        for index, source in enumerate(self._coupling.model.proto.graph.node):
            node = NodeProto()
            node.CopyFrom(source)
            for place in by_node.get(index, ()):
                name = f"{node.input[place.operand]}/{_MASKED}{place.axis}"
                if name not in masked:
                    found.append(
                        helper.make_node("Mul", [node.input[place.operand], mask_name(place)], [name])
                    )
                    masked.add(name)
                node.input[place.operand] = name
            if index in behind or is_constant(source):
                found.append(node)
        return found

    def _declared(self, name: str, value: Any) -> ValueInfoProto:
        """A value as an input: its type, its rank, and the sizes that do not depend on the batch."""
        if not isinstance(value, np.ndarray):
            raise Unmaskable(f"{name!r} is no tensor")
        traces = self._coupling.traces
        shape = traces.first.shapes.get(name)
        dims: list[int | str] = [f"{name}/{axis}" for axis in range(value.ndim)]
        if shape is not None and len(shape) == value.ndim:
            dims = [n if traces.is_static(name, axis) else dims[axis] for axis, n in enumerate(shape)]
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), dims)

    def _load(self, model: Model) -> Runner:
        try:
            return Runner(model, threads=self._threads)
        except Refusal as exc:
            raise Unmaskable(str(exc)) from exc


_MASKED = "masked"


def mask_name(place: Place) -> str:
    """The input that a mask comes in by; one serves all readers of a value."""
    return f"{place.value}/mask{place.axis}"


def _along(place: Place, mask: Array, axes: Mapping[str, Axes]) -> Array:
    """A mask in the shape that it is multiplied in: its axis in place, all others 1."""
    shape = [1] * len(axes[place.value])
    shape[place.axis] = len(mask)
    return mask.reshape(shape)


def _float_type(value: Any) -> int:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise Unmaskable("its channels are no floating-point numbers")
    return int(helper.np_dtype_to_tensor_dtype(value.dtype))
