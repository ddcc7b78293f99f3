"""Runs a model on many batches, at full speed, with its inner values readable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import onnx
import onnxruntime as ort
from onnx import ValueInfoProto

from onnxprune.execution.execution import LOG_NOTHING, Execution, refused
from onnxprune.execution.program import program_of
from onnxprune.model.constants import Array
from onnxprune.model.model import Model

LARGEST = 1 << 30
"""Bytes up to which weights are stored in the graph, where ONNX Runtime packs them for speed; larger
models have them fed."""


class Runner:
    """A session for many runs.

    Args:
        model: to run; only read.
        outputs: names of values to return, inner ones included; None for the outputs of the graph.
        threads: of ONNX Runtime; None leaves the choice to it.

    Raises:
        Refusal: ONNX Runtime does not load the model.
    """

    def __init__(
        self, model: Model, *, outputs: Sequence[str] | None = None, threads: int | None = None
    ) -> None:
        proto = onnx.ModelProto()
        proto.CopyFrom(model.proto)
        declared = {value.name: value for value in proto.graph.output}
        self.outputs = tuple(declared if outputs is None else outputs)
        del proto.graph.output[:]
        proto.graph.output.extend(declared.get(name, ValueInfoProto(name=name)) for name in self.outputs)
        self._run = _stored(replace(model, proto=proto), threads)

    def run(self, feed: Mapping[str, Array]) -> Mapping[str, Any]:
        """The chosen values by name for one batch, input name -> array.

        Raises:
            Refusal: it does not run on this feed.
        """
        return self._run(feed)


Run = Callable[[Mapping[str, Array]], Mapping[str, Any]]


def _stored(model: Model, threads: int | None) -> Run:
    size = sum(constant.size * constant.itemsize for constant in model.constants.values())
    if size > LARGEST or any(c.data_type == onnx.TensorProto.BFLOAT16 for c in model.constants.values()):
        return Execution(program_of(model), threads).run
    options = ort.SessionOptions()
    options.log_severity_level = LOG_NOTHING
    options.intra_op_num_threads = threads or 0
    options.enable_mem_pattern = False  # its plans hold up to twice the memory, and win no time here
    try:
        session = ort.InferenceSession(
            model.to_proto().SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as exc:  # its exception types are not public
        raise refused(exc) from exc
    names = [value.name for value in model.proto.graph.output]

    def run(feed: Mapping[str, Array]) -> Mapping[str, Any]:
        try:
            return dict(zip(names, session.run(names, dict(feed)), strict=True))
        except Exception as exc:  # its exception types are not public
            raise refused(exc) from exc

    return run
