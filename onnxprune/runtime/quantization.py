"""Quantised copies of models, made by the tools of ONNX Runtime."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import onnx
from onnx import ModelProto, version_converter

from onnxprune.calibration import Samples
from onnxprune.criteria.registry import choose
from onnxprune.errors import InputError, UsageError
from onnxprune.model import Model, load_model, save_model
from onnxprune.model.constants import Array

BATCH = 8
"""Samples in a calibration run where the model leaves that open."""

LEAST_OPSET = 13
"""Before it a DequantizeLinear has one scale for a whole tensor."""

RANGES = ("minmax", "entropy", "percentile")
"""How the range of an activation is read off the samples: all of it, what tells the least apart from the
original (Kullback-Leibler), or all but the outermost values."""

PRODUCTS = ("MatMul", "Gemm", "Attention", "LSTM")
"""What dynamic quantisation takes; convolutions become slower by it."""

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})


@dataclass(frozen=True)
class Quantization:
    """How to quantise.

    Attributes:
        kind: a key of ``KINDS``.
        ranges: one of ``RANGES``, for int8 with samples.
        samples: to read the ranges of activations off; without them int8 is dynamic.
    """

    kind: str
    ranges: str = RANGES[0]
    samples: Samples | None = None


Quantizer = Callable[[Path, Path, Model, Quantization], None]
"""Writes a quantised copy of the file at the first path to the second."""


def quantize_model(model: Model, how: Quantization) -> Model:
    """A quantised copy of a model, in memory.

    int8 with samples is static: QDQ format, activations unsigned, weights signed and with a scale for
    each channel, the pair of types that is fast on x86 processors. Without samples it is dynamic, for
    matrix products alone. fp16 halves the file; inputs and outputs stay as they are.

    Args:
        model: to quantise; only read.
        how: kind, ranges and samples.

    Raises:
        UsageError: no such kind or ranges, or int8 of convolutions without samples.
        InputError: the tools of ONNX Runtime fail on the model.
    """
    make = KINDS[choose("quantization", how.kind, KINDS)]
    choose("ranges", how.ranges, dict.fromkeys(RANGES))
    operators = {node.op_type for node in model.proto.graph.node}
    if make is _int8 and how.samples is None and operators & CONVOLUTIONS:
        raise UsageError(
            "int8 needs samples, as convolutions are not fast with ranges found at run time.",
            hint="Give samples with --data, or take fp16.",
        )
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "source.onnx", Path(folder) / "result.onnx"
        save_model(replace(model, external=()), source)
        with _quiet():
            try:
                make(source, result, model, how)
            except Exception as exc:  # the tools raise whatever they meet
                raise InputError(
                    f"The tools of ONNX Runtime cannot quantise the model: {type(exc).__name__}: {exc}.",
                    hint="Take the other kind of quantisation, or leave it out.",
                ) from exc
        proto = onnx.load(result)
    return load_model(_tidied(proto, model.proto))


def _int8(source: Path, result: Path, model: Model, how: Quantization) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    if how.samples is None:
        known = list(PRODUCTS)
        quantize_dynamic(source, result, known, per_channel=True, weight_type=QuantType.QInt8)
        return
    _static(_prepared(source), result, _Reader(how.samples, _fixed_batch(model)), how.ranges)


def _static(source: Path, result: Path, reader: _Reader, ranges: str) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    methods = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
    quantize_static(
        source,
        result,
        reader,
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=getattr(CalibrationMethod, methods[ranges]),
        extra_options={"CalibStridedMinMax": 1},  # one batch at a time, or all activations are held
    )


def _prepared(source: Path) -> Path:
    """The file with shapes inferred, constants folded, and an operator set that has scales by channel."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = onnx.load(source)
    own = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if own < LEAST_OPSET:
        onnx.save(version_converter.convert_version(model, LEAST_OPSET), source)
    path = source.with_name("prepared.onnx")
    quant_pre_process(source, path, skip_symbolic_shape=True)
    return path


def _fp16(source: Path, result: Path, model: Model, how: Quantization) -> None:
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.transformers.float16 import convert_float_to_float16

    found = ONNXModel(convert_float_to_float16(onnx.load(source), keep_io_types=True))
    found.topological_sort()  # casts of inputs are added behind the nodes that read them
    onnx.save(found.model, result)


KINDS: Mapping[str, Quantizer] = MappingProxyType({"int8": _int8, "fp16": _fp16})
"""What a model can be quantised to."""


class _Reader:
    """Batches in the form in which the tools of ONNX Runtime ask for them.

    Args:
        samples: all of which are read once.
        fixed: samples in a batch where the model says it, None where it does not.
    """

    def __init__(self, samples: Samples, fixed: int | None) -> None:
        self._samples = samples
        self._size = fixed or BATCH
        self._count = samples.count // fixed if fixed else -(-samples.count // BATCH)
        self._rest: Iterator[Any] = iter(())
        self._left = 0

    def __len__(self) -> int:
        return self._count

    def set_range(self, start_index: int, end_index: int) -> None:
        """The batches that are read next; they are asked for in order."""
        if start_index == 0:
            self._rest = islice(self._samples.batches(self._size), self._count)
        self._left = end_index - start_index

    def get_next(self) -> dict[str, Array] | None:
        """The next batch of the range, None at its end."""
        if self._left == 0:
            return None
        self._left -= 1
        batch = next(self._rest, None)
        return None if batch is None else dict(batch.feed)


def _fixed_batch(model: Model) -> int | None:
    """Samples that the model takes at once, None where it leaves that open."""
    for value in model.proto.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in model.constants and len(dims) > 1:
            return int(dims[0].dim_value) or None
    return None


def _tidied(proto: ModelProto, source: ModelProto) -> ModelProto:
    """What the tools leave behind of their own is taken out: operator sets nobody uses, marks in metadata."""
    used = {node.domain for node in proto.graph.node} | {"", "ai.onnx"}
    kept = [entry for entry in proto.opset_import if entry.domain in used]
    del proto.opset_import[:]
    proto.opset_import.extend(kept)
    del proto.metadata_props[:]
    proto.metadata_props.extend(source.metadata_props)
    proto.doc_string = source.doc_string
    proto.producer_name, proto.producer_version = source.producer_name, source.producer_version
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the tools print and log."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(before)
