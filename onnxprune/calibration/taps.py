"""A graph in which what the layers read of each unit is a value of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from onnx import GraphProto, ModelProto, NodeProto, helper

from onnxprune.calibration.carriers import Carrier, Reading
from onnxprune.coupling import Coupling
from onnxprune.model.model import Model


class Taps:
    """A copy of a model in which every reading passes a factor of one.

    The product is read by the layers that read the value with weights and by nothing else, so that a
    derivative by it says what these layers make of it, and not what reaches them by way of a shortcut.

    Args:
        coupling: of the model; only read.
        readings: where the factors go.

    Attributes:
        values: the product of each carrier by name, which is what layers now read.
        ones: names of the new inputs, scalars that have to be one.
    """

    def __init__(self, coupling: Coupling, readings: Iterable[Reading]) -> None:
        self._coupling = coupling
        graph = coupling.model.proto.graph
        self._producers = {name: k for k, node in enumerate(graph.node) for name in node.output}
        self._prefix = _unused({*self._producers, *(value.name for value in graph.input)})
        self.values: dict[Carrier, str] = {}
        self.ones: dict[str, int] = {}
        self._behind: dict[int, list[NodeProto]] = {}
        self._renamed: dict[int, dict[str, str]] = {}
        nodes: dict[Carrier, set[int]] = {}
        for reading in readings:
            nodes.setdefault(reading.carrier, set()).update(reading.nodes)
        for carrier, readers in nodes.items():
            self._tap(carrier, readers or self._all_readers(carrier.value))

    def model(self) -> Model:
        """The model with its new inputs; its outputs are what they were."""
        model = self._coupling.model
        proto = ModelProto()
        proto.CopyFrom(model.proto)
        light = GraphProto()
        for k, node in enumerate(model.proto.graph.node):
            own = light.node.add()
            own.CopyFrom(node)
            for i, name in enumerate(node.input):
                own.input[i] = self._renamed.get(k, {}).get(name, name)
            light.node.extend(self._behind.get(k, ()))
        proto.graph.ClearField("node")
        proto.graph.node.MergeFrom(light.node)
        proto.graph.input.extend(
            helper.make_tensor_value_info(name, kind, []) for name, kind in self.ones.items()
        )
        return replace(model, proto=proto)

    def _tap(self, carrier: Carrier, readers: Iterable[int]) -> None:
        product = f"{self._prefix}.{len(self.values)}"
        one = f"{self._prefix}.one.{carrier.kind}"
        self.ones[one] = carrier.kind
        self.values[carrier] = product
        node = helper.make_node("Mul", [carrier.value, one], [product], name=product)
        self._behind.setdefault(self._producers[carrier.value], []).append(node)
        for k in readers:
            self._renamed.setdefault(k, {})[carrier.value] = product

    def _all_readers(self, value: str) -> list[int]:
        return [k for k, node in enumerate(self._coupling.model.proto.graph.node) if value in node.input]


def _unused(names: set[str]) -> str:
    """A prefix that no name begins with."""
    prefix = "gate"
    while any(name.startswith(prefix) for name in names):
        prefix += "_"
    return prefix
