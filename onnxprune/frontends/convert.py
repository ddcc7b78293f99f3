"""From anything that is a model to ``onnxprune.model.Model``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnx import ModelProto

from onnxprune.errors import InputError, UsageError
from onnxprune.frontends.formats import format_of
from onnxprune.model import Model, load_model

ObjectReader = Callable[[Any, Any, "int | None"], ModelProto]
"""Converts an object in memory: the object, example inputs or None, the opset or None."""


@dataclass(frozen=True)
class Kind:
    """A kind of object that is converted.

    Attributes:
        package: that its class, or one it inherits from, is defined in.
        names: of such classes.
        read: what converts it.
    """

    package: str
    names: frozenset[str]
    read: ObjectReader


def _keras_model(model: Any, example_inputs: Any, opset: int | None) -> ModelProto:
    from onnxprune.frontends import keras_models

    return keras_models.read(model, example_inputs, opset)


def _torch_module(model: Any, example_inputs: Any, opset: int | None) -> ModelProto:
    from onnxprune.frontends import torch_modules

    return torch_modules.read_module(model, example_inputs, opset)


def _torch_program(program: Any, example_inputs: Any, opset: int | None) -> ModelProto:
    from onnxprune.frontends import torch_modules

    return torch_modules.read_program(program, opset)


def _onnx_program(program: Any, example_inputs: Any, opset: int | None) -> ModelProto:
    from onnxprune.frontends import torch_modules

    return torch_modules.proto_of(program)


KINDS: tuple[Kind, ...] = (
    Kind("keras", frozenset({"Layer"}), _keras_model),
    Kind("tf_keras", frozenset({"Layer"}), _keras_model),
    Kind("torch", frozenset({"ExportedProgram"}), _torch_program),
    Kind("torch", frozenset({"ONNXProgram"}), _onnx_program),
    Kind("torch", frozenset({"Module"}), _torch_module),
)
"""Objects that are converted; Keras comes first, as its models are torch modules on that backend."""


def is_foreign(source: object) -> bool:
    """Whether a source has to be converted before it can be loaded.

    Raises:
        InputError: it is a file of a kind that is refused.
    """
    if isinstance(source, str | os.PathLike):
        return format_of(Path(source)) is not None
    return _kind_of(source) is not None


def convert(source: object, *, opset: int | None = None, example_inputs: object = None) -> Model:
    """Load a model of any known kind; those that are not ONNX are converted.

    Args:
        source: path of an ``.onnx``, ``.keras``, ``.h5``, ``.tflite`` or ``.pt2`` file or of a SavedModel
            folder, the bytes of an ONNX file, an ``onnx.ModelProto``, a Keras model, a
            ``torch.nn.Module``, a ``torch.export`` program, or what ``load_model`` returns.
        opset: ONNX operator set to write, None for what suits the exporter (18 from TensorFlow, which
            cannot write more, 20 from torch).
        example_inputs: what a ``torch.nn.Module``, or a Keras model without declared inputs, is called
            with: one tensor or array, or a tuple of them. The first axis becomes a dynamic batch.

    Returns:
        The model; ``path`` is that of the source, figures and digest are those of the converted file.

    Raises:
        InputError: it cannot be read or converted, or is refused as unsafe.
        MissingExtraError: a package is missing that the conversion needs.
        UsageError: an argument makes no sense for this source.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        known = format_of(path)
        if known is None:
            return load_model(_unconverted(path, opset))
        return replace(load_model(known.read(path, opset)), path=path)
    kind = _kind_of(source)
    if kind is None:
        return load_model(_unconverted(source, opset))
    return load_model(kind.read(source, example_inputs, opset))


def _unconverted(source: Any, opset: int | None) -> Any:
    """The source as it is.

    Raises:
        UsageError: an opset was asked for, and nothing will be converted.
        InputError: it is no model.
    """
    if opset is not None:
        raise UsageError(
            "The opset can only be chosen for a model that is converted.",
            hint="onnx.version_converter.convert_version changes that of an ONNX model.",
        )
    if not isinstance(source, str | os.PathLike | bytes | ModelProto | Model):
        raise InputError(
            f"A model cannot be made from a {type(source).__name__}.",
            hint="Give a path, the bytes of an ONNX file, an onnx.ModelProto, a Keras model, a "
            "torch.nn.Module with example_inputs=..., or a torch.export program.",
        )
    return source


def _kind_of(source: object) -> Kind | None:
    """By the names of its classes, so that nothing has to be imported to ask."""
    lineage = {(base.__module__.partition(".")[0], base.__name__) for base in type(source).__mro__}
    return next((k for k in KINDS if any((k.package, name) in lineage for name in k.names)), None)
