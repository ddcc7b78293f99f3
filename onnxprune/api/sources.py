"""What the verbs take as a model."""

from __future__ import annotations

from typing import Any, TypeAlias

from onnxprune.frontends import convert, is_foreign
from onnxprune.model import Model
from onnxprune.model.inline import inline_functions

Source: TypeAlias = Any
"""A path of a known format, bytes of an ONNX file, an ``onnx.ModelProto``, a loaded model, a Keras model, a
``torch.nn.Module`` or a ``torch.export`` program: ``onnxprune.frontends.convert`` tells them apart."""


def open_source(source: Source, *, example_inputs: object = None) -> Model:
    """Load a model, converted to ONNX where it is of another kind.

    Args:
        source: the model, or where it is.
        example_inputs: what a model that does not declare its inputs is called with.

    Raises:
        InputError: it cannot be used.
        MissingExtraError: a package is missing that the conversion needs.
        UsageError: it needs an example of its inputs.
    """
    return inline_functions(convert(source, example_inputs=example_inputs))


def opening(source: Source) -> str:
    """What opening a model is called while it goes on."""
    return "converting" if is_foreign(source) else "loading"
