"""Runs a program with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto

from onnxprune.execution.program import Program
from onnxprune.execution.widen import widen
from onnxprune.model.constants import Array, Constant

LOG_NOTHING = 4
_LONGEST_MESSAGE = 300
_NO_MEMORY = "Failed to allocate memory"
_NOT_IN_NUMPY = (TensorProto.BFLOAT16,)


class Refusal(Exception):
    """ONNX Runtime does not load or run a graph; the message is what it says, in one line."""


class Execution:
    """A session and the weights that it is fed with every run.

    Graph optimisation stops at the basic level: weights are no constants here, so the further levels
    would cost time and find nothing. Nodes run in the order of the graph, which lets a weight that is
    masked inside it live no longer than its layer.

    Args:
        program: finished here; not to be used afterwards.
        threads: of ONNX Runtime; None leaves the choice to it.

    Raises:
        Refusal: it does not load.
        MemoryError: there is not enough memory for it.
    """

    def __init__(self, program: Program, threads: int | None = None) -> None:
        program.finish()
        widen(program)
        options = ort.SessionOptions()
        options.log_severity_level = LOG_NOTHING
        options.intra_op_num_threads = threads or 0
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
        self._outputs = [value.name for value in program.proto.graph.output]
        try:
            self._session = ort.InferenceSession(
                program.proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # its exception types are not public
            raise refused(exc) from exc
        self._weights = {name: _fed(constant) for name, constant in program.weights.items()}

    def run(self, feed: Mapping[str, Array]) -> Mapping[str, Any]:
        """Outputs by name: arrays, or what ONNX Runtime gives for sequences and maps.

        Raises:
            Refusal: it does not run on this feed.
            MemoryError: there is not enough memory for it.
        """
        try:
            found = self._session.run(self._outputs, {**self._weights, **feed})
        except Exception as exc:  # its exception types are not public
            raise refused(exc) from exc
        return dict(zip(self._outputs, found, strict=True))


def _fed(constant: Constant) -> Any:
    """The values as ONNX Runtime takes them, without a copy where they are contiguous."""
    values = np.asarray(constant.values(), order="C")
    if constant.data_type in _NOT_IN_NUMPY:
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(values, constant.data_type)
    return ort.OrtValue.ortvalue_from_numpy(values)


def refused(exc: Exception) -> Exception:
    """What to raise for an exception of ONNX Runtime: a lack of memory says nothing about the model."""
    if _NO_MEMORY in str(exc):
        return MemoryError(first_line(exc))
    return Refusal(first_line(exc))


def first_line(exc: Exception) -> str:
    """What ONNX Runtime says, in one line."""
    lines = str(exc).strip().splitlines() or [type(exc).__name__]
    return lines[0].removeprefix("[ONNXRuntimeError] : ")[:_LONGEST_MESSAGE]
