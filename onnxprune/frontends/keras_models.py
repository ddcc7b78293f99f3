"""Keras models in memory, on the TensorFlow and the torch backend."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from onnx import ModelProto

from onnxprune.errors import UsageError
from onnxprune.frontends.affine import fold_affine
from onnxprune.frontends.backend import backend_of
from onnxprune.frontends.failure import converting
from onnxprune.frontends.scopes import restore_layer_names
from onnxprune.frontends.tensorflow_graphs import Input, convert_function

HINT = "Check that the model can be called: model(inputs)."


@dataclass(frozen=True)
class Signature:
    """How a Keras model is called with a flat list of tensors.

    Attributes:
        inputs: one an input, in order.
        outputs: names of the outputs, in order; empty where they are not known before a call.
        pack: puts tensors into the structure that the model takes.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    pack: Callable[[Sequence[Any]], Any]


def read(model: Any, example_inputs: Any, opset: int | None) -> ModelProto:
    """Convert a Keras model; it needs not have been called.

    Raises:
        InputError: it cannot be exported.
        UsageError: its inputs are not declared, and no example is given.
    """
    package = sys.modules[_package_of(model)]
    what = f"The Keras model {getattr(model, 'name', '')!r}"
    backend = "tensorflow" if package.__name__ == "tf_keras" else backend_of(package)
    signature = _signature(model, example_inputs, package, what)
    return _BACKENDS[backend](model, signature, package, what, opset)


def _tensorflow(model: Any, own: Signature, package: ModuleType, what: str, opset: int | None) -> ModelProto:
    flatten = _structure(package).flatten

    def call(*values: Any) -> list[Any]:
        return list(flatten(model(own.pack(values), training=False)))

    outputs = own.outputs
    with converting(what, HINT):
        if not outputs:
            outputs = tuple(f"output_{n}" for n in range(len(call(*_zeros(package, own.inputs)))))
    proto = convert_function(call, own.inputs, outputs, what=what, name=model.name, opset=opset, batched=True)
    restore_layer_names(proto, _layer_names(model))
    return proto


def _torch(model: Any, own: Signature, package: ModuleType, what: str, opset: int | None) -> ModelProto:
    from onnxprune.frontends.torch_modules import export_function

    flatten = _structure(package).flatten
    tensors = _zeros(package, own.inputs)
    with converting(what, HINT):
        model(own.pack(tensors), training=False)  # builds what was never called
    proto = export_function(
        model,
        lambda *values: tuple(flatten(model(own.pack(values), training=False))),
        tensors,
        input_names=[i.name for i in own.inputs],
        output_names=list(own.outputs),
        what=what,
        opset=opset,
    )
    fold_affine(proto)
    return proto


_BACKENDS = {"tensorflow": _tensorflow, "torch": _torch}


def _signature(model: Any, example_inputs: Any, package: ModuleType, what: str) -> Signature:
    declared = None if example_inputs is not None else _declared(model)
    tree = _structure(package)
    if declared is not None:
        flat = tree.flatten(declared)
        names = _distinct([_name_of(tensor) for tensor in flat])
        shapes = [(tuple(t.shape), _dtype(t)) for t in flat]
        outputs = _distinct([_name_of(tensor) for tensor in tree.flatten(model.outputs)])
    elif example_inputs is not None:
        declared = example_inputs
        flat = tree.flatten(example_inputs)
        names = [f"input_{n}" for n in range(len(flat))]
        shapes = [((None, *t.shape[1:]), _dtype(t)) for t in flat]
        outputs = []
    else:
        raise UsageError(
            f"{what} does not declare its inputs.",
            hint="Give an example of them: onnxprune.prune(model, example_inputs=array, ...).",
        )
    inputs = tuple(Input(name, shape, dtype) for name, (shape, dtype) in zip(names, shapes, strict=True))
    return Signature(inputs, tuple(outputs), lambda values: tree.pack_sequence_as(declared, list(values)))


def _declared(model: Any) -> Any:
    """The structure of declared inputs, None where a model is a class of the user's own."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None
    try:
        return model.input
    except (AttributeError, ValueError, RuntimeError):  # a Sequential that was never called
        return inputs[0] if len(inputs) == 1 else inputs


def _zeros(package: ModuleType, inputs: Sequence[Input]) -> list[Any]:
    """Inputs of the smallest size that exporters do not take for a constant."""
    zeros = sys.modules["tensorflow"].zeros if package.__name__ == "tf_keras" else package.ops.zeros
    return [zeros([2 if n is None else n for n in i.shape], i.dtype) for i in inputs]


def _package_of(model: Any) -> str:
    packages = (base.__module__.partition(".")[0] for base in type(model).__mro__)
    return next(package for package in packages if package in ("keras", "tf_keras"))


def _structure(package: ModuleType) -> Any:
    """The functions ``flatten`` and ``pack_sequence_as`` that a package goes by."""
    if package.__name__ == "tf_keras":
        return sys.modules["tensorflow"].nest
    return package.tree


def _name_of(tensor: Any) -> str:
    """The input layer's name: that of the tensor is numbered anew in every process."""
    history = getattr(tensor, "_keras_history", None)
    operation = getattr(history, "operation", None) or getattr(history, "layer", None)
    return str(getattr(operation, "name", None) or tensor.name)


def _dtype(tensor: Any) -> str:
    """The name of an element type, whichever package it is of."""
    dtype = tensor.dtype
    return str(getattr(dtype, "name", dtype)).removeprefix("torch.")


def _layer_names(model: Any) -> set[str]:
    """Names of a model and of everything in it."""
    inner = model._flatten_layers() if hasattr(model, "_flatten_layers") else getattr(model, "layers", ())
    return {str(layer.name) for layer in (model, *inner)}


def _distinct(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        spelling, n = name, 1
        while spelling in found:
            spelling, n = f"{name}_{n}", n + 1
        found.append(spelling)
    return found
