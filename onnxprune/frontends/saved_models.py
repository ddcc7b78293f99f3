"""TensorFlow SavedModel folders."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

_GRAPH = "saved_model.pb"
_COMPILED, _APART = "_XlaMustCompile", "_noinline"
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
    saved = _parsed(path, where)
    _check_operators(saved, where)
    with converting(where, "Save the model again with model.export or tf.saved_model.save."):
        if _drop_compilation(saved):
            with _beside(path, saved.SerializeToString()) as copy:
                loaded = tf.saved_model.load(str(copy))
        else:
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


def _parsed(path: Path, where: str) -> Any:
    saved = require("tensorflow.core.protobuf.saved_model_pb2", f"Reading {where}").SavedModel()
    try:
        saved.ParseFromString((path / _GRAPH).read_bytes())
    except (DecodeError, OSError) as exc:
        raise InputError(
            f"{where} is not a complete SavedModel: {first_line(exc)}", hint="Save or copy the folder again."
        ) from exc
    return saved


def _drop_compilation(saved: Any) -> bool:
    """Take the mark off functions that XLA has to compile, as tf2onnx cannot look into those.

    Keras compiles grouped convolutions; what they compute stays the same.

    Returns:
        Whether there was any.
    """
    marked = [
        attributes
        for meta in saved.meta_graphs
        for function in meta.graph_def.library.function
        for attributes in (function.attr, *(node.attr for node in function.node_def))
        if _COMPILED in attributes
    ]
    for attributes in marked:
        for name in (_COMPILED, _APART):
            if name in attributes:
                del attributes[name]
    return bool(marked)


@contextmanager
def _beside(path: Path, graph: bytes) -> Iterator[Path]:
    """A folder with another graph and the same variables for a while."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        (copy / _GRAPH).write_bytes(graph)
        for inside in path.resolve().iterdir():
            if inside.is_dir():
                (copy / inside.name).symlink_to(inside, target_is_directory=True)
        yield copy


def _check_operators(saved: Any, where: str) -> None:
    graphs = [meta.graph_def for meta in saved.meta_graphs]
    bodies = [function.node_def for graph in graphs for function in graph.library.function]
    found = {node.op for nodes in (*bodies, *(graph.node for graph in graphs)) for node in nodes}
    refused = sorted(found & REFUSED_OPERATORS)
    if refused:
        raise InputError(
            f"{where} holds operators that run Python code or reach for files: {', '.join(refused)}.",
            hint="Save a model without them; preprocessing belongs outside the network.",
        )
