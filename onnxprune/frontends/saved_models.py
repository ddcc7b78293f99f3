"""TensorFlow SavedModel folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from onnx import ModelProto

from onnxprune.errors import InputError
from onnxprune.frontends.extras import require
from onnxprune.frontends.failure import converting, first_line
from onnxprune.frontends.scopes import strip_scope
from onnxprune.frontends.tensorflow_graphs import Input, convert_function, import_converter
from onnxprune.model.naming import quoted

PREFERRED = "serving_default"
"""The signature that TensorFlow gives to a model's call."""

_CALL = "StatefulPartitionedCall"
"""The scope that TensorFlow puts around a function of a SavedModel, once or twice."""

REFUSED_OPERATORS = frozenset("PyFunc PyFuncStateless EagerPyFunc ReadFile WriteFile MatchingFiles".split())
"""What reaches out of the graph; a folder that holds any of it is not loaded, as loading may run it."""


def read(path: Path, opset: int | None) -> ModelProto:
    """Convert the serving signature of a SavedModel.

    Raises:
        InputError: it is damaged, reaches for files, has no signature or several without a default.
        MissingExtraError: TensorFlow or tf2onnx is not installed.
        UsageError: the opset cannot be written.
    """
    where = quoted(path)
    tf, _ = import_converter(f"Reading {where}")
    _check_operators(path, where)
    with converting(where, "Save the model again with model.export or tf.saved_model.save."):
        loaded = tf.saved_model.load(str(path))
    function = _signature(loaded.signatures, where)
    arguments: Mapping[str, Any] = function.structured_input_signature[1]
    results = sorted(function.structured_outputs)
    inputs = [Input(name, _shape(spec), spec.dtype.name) for name, spec in arguments.items()]

    def call(*values: Any) -> list[Any]:
        found = function(**dict(zip(arguments, values, strict=True)))
        return [found[name] for name in results]

    proto = convert_function(call, inputs, results, what=where, name=path.name, opset=opset)
    strip_scope(proto, _CALL)
    return proto


def _shape(spec: Any) -> tuple[int | None, ...]:
    if spec.shape.rank is None:
        raise InputError(
            f"The input {spec.name!r} has no shape at all.", hint="Save the model with an input signature."
        )
    return tuple(spec.shape.as_list())


def _signature(signatures: Mapping[str, Any], where: str) -> Any:
    names = [name for name in signatures if not name.startswith("_")]
    if PREFERRED in names:
        return signatures[PREFERRED]
    if len(names) == 1:
        return signatures[names[0]]
    shown = f"the signatures {', '.join(names)} but none called {PREFERRED}" if names else "no signature"
    raise InputError(
        f"{where} has {shown}.",
        hint=f"Save it with tf.saved_model.save(model, folder, signatures={{'{PREFERRED}': function}}).",
    )


def _check_operators(path: Path, where: str) -> None:
    saved = require("tensorflow.core.protobuf.saved_model_pb2", f"Reading {where}").SavedModel()
    try:
        saved.ParseFromString((path / "saved_model.pb").read_bytes())
    except (DecodeError, OSError) as exc:
        raise InputError(
            f"{where} is not a complete SavedModel: {first_line(exc)}", hint="Save or copy the folder again."
        ) from exc
    graphs = [meta.graph_def for meta in saved.meta_graphs]
    bodies = [function.node_def for graph in graphs for function in graph.library.function]
    found = {node.op for nodes in (*bodies, *(graph.node for graph in graphs)) for node in nodes}
    refused = sorted(found & REFUSED_OPERATORS)
    if refused:
        raise InputError(
            f"{where} holds operators that run Python code or reach for files: {', '.join(refused)}.",
            hint="Save a model without them; preprocessing belongs outside the network.",
        )
