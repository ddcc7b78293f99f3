"""What follows about activations without data: from batch normalisation, or from the filters alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxprune.calibration.carriers import readings
from onnxprune.coupling import Coupling, Group
from onnxprune.coupling.groups import Floats, Indices, Role
from onnxprune.criteria.vectors import inner_products, unit_vectors
from onnxprune.model.constants import Array
from onnxprune.repair.gaussian import through
from onnxprune.repair.moments import Moments

Units = Mapping[str, Moments]
"""What is known of a value: moments of units by group."""

NOTHING: Units = MappingProxyType({})


class ExpectedMoments:
    """Moments of units as far as they follow from the graph and its constants.

    What comes out of a batch normalisation has the mean beta and the deviation |gamma|, by the statistics
    that it was trained with, and is taken to be normal. Two channels correlate as much as their filters
    point in one direction, which is exact where the inputs of the layer are uncorrelated and equally
    strong. From there activation functions, sums of branches, pooling, concatenation and reshapes are
    followed; branches are taken to be independent.

    Behind a layer without normalisation, as exporters leave it that fold, the size of the activations is
    not known, only which of them go together: units whose filters and biases point in one direction. That
    holds through functions that keep proportions, such as max(x, 0).

    Args:
        coupling: of the source.
    """

    def __init__(self, coupling: Coupling) -> None:
        self.coupling = coupling
        self.producers: dict[str, NodeProto] = {}
        self.values: dict[str, Units] = {}
        self._read = readings(coupling)
        asked = {reading.carrier.value for own in self._read.values() for reading in own}
        nodes = coupling.model.proto.graph.node
        last = {name: index for index, node in enumerate(nodes) for name in node.input}
        for index, node in enumerate(nodes):
            rule = RULES.get(node.op_type)
            found = rule(self, node) if rule and not node.domain else NOTHING
            for name in node.output:
                self.producers[name] = node
                self.values[name] = found
            for name in node.input:  # matrices of wide layers would add up
                if last[name] == index and name not in asked:
                    self.values.pop(name, None)

    def of(self, group: Group, reading: int) -> Moments | None:
        """Moments of a group in the value of one of its readings, None where nothing is known."""
        return self.known(self._read[group.name][reading].carrier.value).get(group.name)

    def known(self, value: str) -> Units:
        """What is known of a value."""
        return self.values.get(value, NOTHING)

    def data(self, node: NodeProto) -> list[str]:
        """The inputs of a node that are no constants."""
        return [name for name in node.input if name and name not in self.coupling.model.constants]

    def constant(self, name: str) -> Array | None:
        """Values of a constant, behind Identity too; None for what is none."""
        while name in self.producers and self.producers[name].op_type == "Identity":
            name = self.producers[name].input[0]
        found = self.coupling.model.constants.get(name)
        return None if found is None else np.asarray(found.values())


def _normalized(walk: ExpectedMoments, node: NodeProto) -> Units:
    """Behind a batch normalisation: mean beta, deviation |gamma|."""
    gamma, beta = (walk.constant(name) for name in node.input[1:3])
    axes = walk.coupling.engine.axes.get(node.output[0], [])
    if gamma is None or beta is None or len(axes) < 2:
        return NOTHING
    found: dict[str, Moments] = {}
    for place, units in walk.coupling.units.rows(axes[1]).items():
        group = walk.coupling.structure.groups[place]
        held = np.flatnonzero(units >= 0)
        if len(np.unique(units[held])) != len(held):
            continue  # a unit of several channels has no mean and deviation of its own
        mean, scale = np.full(group.size, np.nan), np.full(group.size, np.nan)
        mean[units[held]], scale[units[held]] = beta[held], gamma[held]
        found[group.name] = Moments(mean, np.outer(scale, scale) * _alike(walk, node.input[0], group, units))
    return found


def _alike(walk: ExpectedMoments, value: str, group: Group, units: Indices) -> Floats:
    """Cosines between the filters of the layer that computes a value, (units, units)."""
    nothing = np.eye(group.size)
    layer = walk.producers.get(value)
    if layer is None or any(a.name == "group" and a.i > 1 for a in layer.attribute):
        return nothing  # the filters of different groups read different channels
    own = (s for s in group.slices if s.role is Role.FILTER and s.constant in layer.input)
    found = next((s for s in own if np.array_equal(s.units, units)), None)
    weight = None if found is None else walk.constant(found.constant)
    if found is None or weight is None:
        return nothing
    rows = np.moveaxis(weight, found.axis, 0).reshape(weight.shape[found.axis], -1)
    products = inner_products(unit_vectors(group, found, rows)[0])
    lengths = np.sqrt(np.diagonal(products))
    cosines: Floats = products / np.maximum(np.outer(lengths, lengths), np.finfo(np.float64).tiny)
    np.fill_diagonal(cosines, 1.0)
    return cosines


def _linear(walk: ExpectedMoments, node: NodeProto) -> Units:
    """Behind a layer: units go together whose filters and biases point in one direction."""
    found: dict[str, Moments] = {}
    if len(node.input) < 2 or any(a.name == "group" and a.i > 1 for a in node.attribute):
        return found
    for group in walk.coupling.structure.groups:
        own = [s for s in group.slices if s.role is Role.FILTER and s.constant == node.input[1]]
        weight = walk.constant(node.input[1]) if len(own) == 1 else None
        if weight is None or not np.issubdtype(weight.dtype, np.floating):
            continue
        rows = np.moveaxis(weight, own[0].axis, 0).reshape(weight.shape[own[0].axis], -1)
        bias = walk.constant(node.input[2]) if len(node.input) > 2 else None
        if bias is not None and bias.size == len(rows):
            rows = np.concatenate([rows, bias.reshape(-1, 1)], axis=1)
        vectors, held = unit_vectors(group, own[0], rows)
        mean = np.where(held, 0.0, np.nan)
        found[group.name] = Moments(mean, np.maximum(inner_products(vectors), 0.0), relative=True)
    return found


def _elementwise(walk: ExpectedMoments, node: NodeProto) -> Units:
    """Behind a function of single numbers whose other inputs are constants."""
    inputs = walk.data(node)
    if inputs != [node.input[0]]:
        return NOTHING
    others = {name: walk.constant(name) for name in node.input[1:] if name}
    opset = walk.coupling.engine.opsets[""]
    proportional = node.op_type in _PROPORTIONAL
    apply = partial(_evaluated, node, {name: a for name, a in others.items() if a is not None}, opset)
    known = walk.known(inputs[0]).items()
    relative = {name: own for name, own in known if own.relative and proportional}
    return {**relative, **{name: through(own, apply) for name, own in known if not own.relative}}


def _evaluated(node: NodeProto, others: Mapping[str, Array], opset: int, values: Floats) -> Floats:
    """What a node makes of numbers."""
    kind = onnx.TensorProto.FLOAT
    x, y = (helper.make_tensor_value_info(name, kind, None) for name in (node.input[0], node.output[0]))
    constants = [numpy_helper.from_array(a, name) for name, a in others.items()]
    graph = helper.make_graph([node], "function", [x], [y], constants)
    result = ReferenceEvaluator(graph, opsets={"": opset}).run(
        None, {node.input[0]: values.astype(np.float32)}
    )
    return np.asarray(result[0], dtype=np.float64)


def _carried(walk: ExpectedMoments, node: NodeProto) -> Units:
    """Behind what leaves the mean of a channel, and how channels go together, about as they are."""
    inputs = walk.data(node)
    return walk.known(inputs[0]) if inputs else NOTHING


def _added(walk: ExpectedMoments, node: NodeProto) -> Units:
    """Behind a sum of branches."""
    inputs = walk.data(node)
    if len(inputs) == 1:  # the bias of a MatMul
        return {name: own for name, own in walk.known(inputs[0]).items() if own.relative}
    if len(inputs) != 2:
        return NOTHING
    first, second = map(walk.known, inputs)
    return {
        name: Moments(own.mean + second[name].mean, own.covariance + second[name].covariance, own.relative)
        for name, own in first.items()
        if name in second and own.relative == second[name].relative
    }


def _padded(walk: ExpectedMoments, node: NodeProto) -> Units:
    """Behind zeros around a value: channels that are nothing but zeros have the mean and deviation 0."""
    value = walk.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    known = walk.known(node.input[0])
    if value is None or value.any() or any(a.name == "value" and a.f for a in node.attribute):
        return NOTHING
    found = dict(known)
    relative = all(own.relative for own in known.values())
    groups = walk.coupling.structure.groups
    for axis in walk.coupling.engine.axes.get(node.output[0], ()) if known else ():
        for place, units in walk.coupling.units.rows(axis).items():
            name, size = groups[place].name, groups[place].size
            mean = np.full(size, np.nan)
            mean[units[units >= 0]] = 0.0
            nothing = Moments(mean, np.zeros((size, size)), relative)
            found[name] = _filled(found[name], nothing) if name in found else nothing
    return found


def _filled(own: Moments, other: Moments) -> Moments:
    """What is known of units, and of those of which nothing is known what another says."""
    unknown = np.isnan(own.mean) & np.isfinite(other.mean)
    covariance = own.covariance.copy()
    covariance[unknown] = covariance[:, unknown] = 0.0
    return replace(own, mean=np.where(unknown, 0.0, own.mean), covariance=covariance)


def _joined(walk: ExpectedMoments, node: NodeProto) -> Units:
    """Behind a concatenation; what is known of a group twice is not known."""
    parts = [walk.known(name) for name in node.input]
    names = [name for part in parts for name in part]
    return {name: own for part in parts for name, own in part.items() if names.count(name) == 1}


_CARRYING = """AveragePool Cast Dropout Flatten Gather GlobalAveragePool Identity MaxPool ReduceMean Reshape
Resize Slice Split Squeeze Transpose Unsqueeze"""
_PROPORTIONAL = frozenset({"Clip", "LeakyRelu", "Relu"})
"""Functions of which the positive multiple of an input is that of the output; Clip up to its bounds."""
_FUNCTIONS = "Clip Elu Gelu HardSigmoid HardSwish LeakyRelu Mish Relu Selu Sigmoid Softplus Softsign Tanh"

_LAYERS = "Conv Gemm MatMul"

RULES: Mapping[str, Callable[[ExpectedMoments, NodeProto], Units]] = MappingProxyType(
    {
        "BatchNormalization": _normalized,
        "Add": _added,
        "Concat": _joined,
        "Pad": _padded,
        **dict.fromkeys(_LAYERS.split(), _linear),
        **dict.fromkeys(_CARRYING.split(), _carried),
        **dict.fromkeys(_FUNCTIONS.split(), _elementwise),
    }
)
"""How moments pass an operator; behind any other nothing is known. A maximum over positions raises the
mean, so that what is taken behind MaxPool is too low, and what is made up for with it too little."""
