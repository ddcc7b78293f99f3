"""Nodes that measure values inside the graph, so that only small results leave it.

A feature map is read where it lies; what comes out is one number a sample and channel, or one matrix. The
nodes are chosen such that ONNX Runtime can keep its blocked layout of convolutions: a map that is averaged
by GlobalAveragePool is not laid out anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from onnxprune.calibration.carriers import Carrier
from onnxprune.coupling.groups import Indices
from onnxprune.model.model import Model
from onnxprune.model.names import names_of

STEEP = 1e38
"""Slope of the hard sigmoid that tells zero from the rest: it gives 1 from 1e-38 on."""


class GramNames(NamedTuple):
    """A new input of the graph and its new outputs.

    Attributes:
        shift: input, (units, 1): what is subtracted first, which spares the digits that a large mean would
            cost the covariance.
        mean: (units,) mean of what is left.
        gram: (units, units) its products, summed over positions.
        shape: [units, positions].
    """

    shift: str
    mean: str
    gram: str
    shape: str


class Probes:
    """A copy of a model's graph with measuring nodes behind its values.

    Args:
        model: only read.
    """

    def __init__(self, model: Model) -> None:
        proto = ModelProto()
        proto.CopyFrom(model.proto)
        self._model = model
        self._graph = proto.graph
        self._proto = proto
        self._made: dict[tuple[str, str], str] = {}
        self._taken = names_of(proto.graph)
        self._opset = max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=0)
        self.outputs: list[str] = []

    def model(self) -> Model:
        """The model with the nodes that were added so far."""
        return replace(self._model, proto=self._proto)

    def mean(self, carrier: Carrier) -> str:
        """Output: mean over all axes but those of samples and channels."""
        return self._output(self._pooled(carrier, self._value(carrier)))

    def mean_square(self, carrier: Carrier) -> str:
        """Output: mean of the squares over the same axes."""
        return self._output(self._pooled(carrier, self._square(carrier)))

    def nonzero(self, carrier: Carrier) -> str:
        """Output: share of the elements that are not zero over the same axes.

        An element whose square is below 1e-38 counts as zero, in part where it is little below.
        """
        ones = self._node("HardSigmoid", [self._square(carrier)], alpha=STEEP, beta=0.0)
        return self._output(self._pooled(carrier, ones))

    def gram(self, carrier: Carrier, indices: Indices) -> GramNames:
        """Outputs for the covariance of a value's units.

        Args:
            carrier: the value.
            indices: (units, indices of each) on the channel axis.
        """
        shift = self._fresh()
        self._graph.input.append(helper.make_tensor_value_info(shift, TensorProto.FLOAT, [len(indices), 1]))
        others = [k for k in range(carrier.rank) if k != carrier.channel]
        rows = self._node("Transpose", [self._value(carrier)], perm=[carrier.channel, *others])
        rows = self._reshaped(rows, carrier.channels)
        if not np.array_equal(indices.reshape(-1), np.arange(carrier.channels)):
            rows = self._node("Gather", [rows, self._constant(indices.reshape(-1))], axis=0)
        if indices.shape[1] > 1:
            rows = self._reshaped(rows, len(indices))
        rows = self._node("Sub", [rows, shift])
        gram = self._node("MatMul", [rows, self._node("Transpose", [rows], perm=[1, 0])])
        found = GramNames(shift, self._reduced(rows, [1]), gram, self._node("Shape", [rows]))
        self.outputs.extend((found.mean, found.gram, found.shape))
        return found

    def _output(self, name: str) -> str:
        if name not in self.outputs:
            self.outputs.append(name)
        return name

    def _value(self, carrier: Carrier) -> str:
        """The value in single precision; ONNX Runtime drops a cast that changes nothing."""
        return self._once("value", carrier.value, "Cast", [carrier.value], to=TensorProto.FLOAT)

    def _square(self, carrier: Carrier) -> str:
        value = self._value(carrier)
        return self._once("square", carrier.value, "Mul", [value, value])

    def _pooled(self, carrier: Carrier, name: str) -> str:
        if carrier.channel == 1 and carrier.batch == 0 and carrier.rank > 2:
            return self._node("GlobalAveragePool", [name])
        axes = [k for k in range(carrier.rank) if k not in (carrier.batch, carrier.channel)]
        return self._reduced(name, axes) if axes else name

    def _reduced(self, name: str, axes: Sequence[int]) -> str:
        """Mean over some axes, which are gone afterwards."""
        if self._opset < 18:
            return self._node("ReduceMean", [name], axes=list(axes), keepdims=0)
        return self._node("ReduceMean", [name, self._constant(np.array(axes, np.int64))], keepdims=0)

    def _reshaped(self, name: str, rows: int) -> str:
        return self._node("Reshape", [name, self._constant(np.array([rows, -1], np.int64))])

    def _once(self, what: str, value: str, op: str, inputs: list[str], **attributes: int) -> str:
        if (what, value) not in self._made:
            self._made[what, value] = self._node(op, inputs, **attributes)
        return self._made[what, value]

    def _node(self, op: str, inputs: list[str], **attributes: object) -> str:
        output = self._fresh()
        self._graph.node.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def _constant(self, values: Indices) -> str:
        name = self._fresh()
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.int64), name))
        return name

    def _fresh(self) -> str:
        name = f"probe.{len(self._taken)}"
        while name in self._taken:
            name = f"{name}_"
        self._taken.add(name)
        return name
