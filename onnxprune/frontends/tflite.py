"""TensorFlow Lite files."""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto

from onnxprune.frontends.affine import fold_affine
from onnxprune.frontends.canonical import canonicalise
from onnxprune.frontends.failure import converting
from onnxprune.frontends.missing_operators import HANDLERS
from onnxprune.frontends.quiet import muted
from onnxprune.frontends.tensorflow_graphs import HINT, checked_opset, import_converter, same_names
from onnxprune.frontends.tidy import check_operators, name_dimensions
from onnxprune.model.naming import quoted


def read(path: Path, opset: int | None) -> ModelProto:
    """Convert a TensorFlow Lite file; quantised ones keep their quantisation.

    Raises:
        InputError: it is damaged, or has operators that ONNX does not know.
        MissingExtraError: TensorFlow or tf2onnx is not installed.
        UsageError: the opset cannot be written.
    """
    where = quoted(path)
    version = checked_opset(opset)
    _, tf2onnx = import_converter(f"Reading {where}")
    with converting(where, HINT), same_names(tf2onnx), muted():
        proto, _ = tf2onnx.convert.from_tflite(str(path), opset=version, custom_op_handlers=dict(HANDLERS))
    name_dimensions(proto, batched=False)
    fold_affine(proto)
    canonicalise(proto, path.stem)
    check_operators(proto, where, HINT)
    return proto
