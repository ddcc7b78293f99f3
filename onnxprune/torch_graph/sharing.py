"""Gives each layer its own copy of the vectors that exporters merged.

Exporters store equal constants once: the zero biases of two layers become one tensor, or one reads the other
through an Identity. Trained together they would stay equal for ever. A layer that is applied twice shares its
vectors too, but there the weight is shared as well, and that is how the two cases are told apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from onnx import ModelProto, NodeProto

from onnxprune.model.constants import Constant
from onnxprune.model.model import Model

Place = tuple[int, int]
"""Position of a node and of one of its inputs."""


@dataclass(frozen=True)
class Separated:
    """A model in which layers that do not share a weight share no vector.

    Attributes:
        model: reads constants directly where the source reads them through Identity.
        copies: for each constant that was added, the one that it is a copy of.
        places: which inputs read it.
    """

    model: Model
    copies: Mapping[str, str]
    places: Mapping[str, tuple[Place, ...]]


def separate(model: Model) -> Separated:
    """Give each layer its own copy of merged vectors; the source is not changed."""
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    _read_directly(proto, model)
    copies: dict[str, str] = {}
    places: dict[str, tuple[Place, ...]] = {}
    added: dict[str, Constant] = {}
    for name, groups in _merged(proto, model):
        for group in groups[1:]:
            copy = _free_name(name, {*model.constants, *added, *_values(proto)})
            for position, i in group:
                proto.graph.node[position].input[i] = copy
            added[copy] = replace(model.constants[name], name=copy)
            copies[copy], places[copy] = name, tuple(group)
    constants = model.constants.with_changes(added)
    return Separated(replace(model, proto=proto, constants=constants), copies, places)


def _read_directly(proto: ModelProto, model: Model) -> None:
    """Let readers of an Identity of a constant read the constant."""
    meaning: dict[str, str] = {}
    for node in proto.graph.node:
        for i, name in enumerate(node.input):
            if name in meaning:
                node.input[i] = meaning[name]
        if node.op_type == "Identity" and not node.domain and node.input[0] in model.constants:
            meaning[node.output[0]] = node.input[0]


def _merged(proto: ModelProto, model: Model) -> Iterator[tuple[str, list[list[Place]]]]:
    """Vectors with several owners, each with its readers by owner, in graph order."""
    readers: dict[str, list[Place]] = defaultdict(list)
    for position, node in enumerate(proto.graph.node):
        for i, name in enumerate(node.input):
            if name in model.constants and _is_vector(model.constants[name]):
                readers[name].append((position, i))
    owners = _Owners(proto, model)
    for name, found in readers.items():
        if len(found) > 1:
            by_owner: dict[object, list[Place]] = defaultdict(list)
            for position, i in found:
                by_owner[owners.of(proto.graph.node[position]), i].append((position, i))
            if len(by_owner) > 1:
                yield name, list(by_owner.values())


def _is_vector(constant: Constant) -> bool:
    return constant.is_float and constant.size == max(constant.shape, default=0)


class _Owners:
    """Which layer a node belongs to."""

    def __init__(self, proto: ModelProto, model: Model) -> None:
        self._model = model
        self._makers = {name: node for node in proto.graph.node for name in node.output}

    def of(self, node: NodeProto) -> object:
        """The weights that a node has or follows, and its place among the vectors behind them.

        A layer that is applied twice has the same owner both times; a node without a weight before it is an
        owner of its own.
        """
        at: NodeProto | None = node
        place = 0
        while at is not None:
            weights = tuple(name for name in at.input if self._is_weight(name))
            if weights:
                return weights, place
            place += any(name in self._model.constants for name in at.input)
            sources = [name for name in at.input if name and name not in self._model.constants]
            at = self._makers.get(sources[0]) if len(sources) == 1 else None
        return node.output[0]

    def _is_weight(self, name: str) -> bool:
        constant = self._model.constants.get(name)
        return constant is not None and constant.is_float and not _is_vector(constant)


def _values(proto: ModelProto) -> Iterator[str]:
    for node in proto.graph.node:
        yield from node.output
    for value in proto.graph.input:
        yield value.name


def _free_name(name: str, taken: set[str]) -> str:
    count = 2
    while f"{name}.{count}" in taken:
        count += 1
    return f"{name}.{count}"


__all__ = ["Separated", "separate"]
