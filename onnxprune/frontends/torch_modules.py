"""Torch modules and exported programs, through torch.onnx."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto

from onnxprune.errors import InputError, UsageError
from onnxprune.frontends.extras import require
from onnxprune.frontends.failure import converting, first_line
from onnxprune.frontends.quiet import quiet
from onnxprune.frontends.tidy import check_operators, drop_stack_traces

if TYPE_CHECKING:
    import torch

OPSET = 20
"""What torch 2.13 writes unless told otherwise."""

OLDEST_OPSET = 18
"""torch.onnx raises lower ones to this in silence."""

BATCH = "batch"
HINT = (
    "Export it yourself, torch.onnx.export(model, example_inputs, 'model.onnx', dynamo=False) if need be, "
    "and give the file."
)
_LOG = logging.getLogger(__name__)


def read_module(model: torch.nn.Module, example_inputs: Any, opset: int | None) -> ModelProto:
    """Export a module in evaluation mode, which it is taken out of again if it was not.

    The first axis of every example tensor becomes the dynamic batch; where the module does not allow
    that, its shapes stay those of the example.

    Args:
        model: left as it is.
        example_inputs: a tensor or array, a tuple of positional arguments, or a mapping of keywords.
        opset: operator set, None for 20.

    Raises:
        InputError: torch cannot export it.
        MissingExtraError: the exporter is not installed.
        UsageError: there is no example, or the opset cannot be written.
    """
    what = f"The module {type(model).__name__}"
    if example_inputs is None:
        raise UsageError(
            f"{what} can only be exported with an example of its inputs.",
            hint="onnxprune.prune(model, example_inputs=torch.zeros(1, 3, 224, 224), ratio=0.4)",
        )
    arguments, keywords = _arguments(example_inputs)
    with _evaluating(model):
        shapes = _dynamic(arguments, keywords)
        return _exported(model, arguments, what=what, opset=opset, shapes=shapes, names={"kwargs": keywords})


def read_program(program: torch.export.ExportedProgram, opset: int | None) -> ModelProto:
    """Export a ``torch.export`` program; its shapes are as dynamic as it says.

    Raises:
        InputError: torch cannot express it in ONNX.
        MissingExtraError: the exporter is not installed.
        UsageError: the opset cannot be written.
    """
    return _exported(program, (), what="The exported program", opset=opset)


def export_function(
    model: torch.nn.Module,
    call: Callable[..., Any],
    tensors: Sequence[torch.Tensor],
    *,
    input_names: Sequence[str],
    output_names: Sequence[str],
    what: str,
    opset: int | None,
) -> ModelProto:
    """Export a function of the tensors of a module, which it is a method of in all but name."""
    torch = require("torch", f"Converting {what}")

    class Wrapper(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *values: Any) -> Any:
            return call(*values)

    names = {"input_names": list(input_names)}
    if output_names:
        names["output_names"] = list(output_names)
    shapes = (tuple(map(_batched, tensors)),)  # one entry for all of *values
    with _evaluating(model):
        return _exported(Wrapper(), tuple(tensors), what=what, opset=opset, shapes=shapes, names=names)


def proto_of(program: Any) -> ModelProto:
    """The model in a ``torch.onnx.ONNXProgram``, without traces of the machine that exported it."""
    proto = ModelProto()
    proto.CopyFrom(program.model_proto)
    drop_stack_traces(proto)
    return proto


def _exported(
    model: Any,
    arguments: tuple[Any, ...],
    *,
    what: str,
    opset: int | None,
    shapes: Any = None,
    names: Mapping[str, Any] = MappingProxyType({}),
) -> ModelProto:
    """Export, with a dynamic batch where that is asked for and can be.

    Args:
        model: a module or a program.
        arguments: positional ones.
        what: for messages.
        opset: None for the usual one.
        shapes: which axes are dynamic, None for those of a program, or none.
        names: further arguments of the exporter.
    """
    version = _checked_opset(opset)
    torch = require("torch", f"Converting {what}")
    require("onnxscript", f"Converting {what}")
    options = {"opset_version": version, "dynamo": True, "verbose": False, **names}
    proto = None
    if shapes is not None:
        try:
            with quiet():
                proto = proto_of(torch.onnx.export(model, arguments, dynamic_shapes=shapes, **options))
        except Exception as exc:  # whatever torch raises, it may still go with fixed shapes
            _LOG.warning("%s has no dynamic batch: %s", what, first_line(exc))
    if proto is None:
        with converting(what, HINT):
            proto = proto_of(torch.onnx.export(model, arguments, **options))
    check_operators(proto, what, HINT)
    return proto


def _checked_opset(opset: int | None) -> int:
    if opset is not None and opset < OLDEST_OPSET:
        raise UsageError(f"torch does not write opset {opset}.", hint=f"The lowest is {OLDEST_OPSET}.")
    return OPSET if opset is None else opset


def _arguments(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments, arrays as tensors."""
    if isinstance(example, Mapping):
        return (), {str(name): _tensors(value) for name, value in example.items()}
    given = example if isinstance(example, tuple) else (example,)
    if not given:
        raise InputError("The example inputs are empty.", hint="Give one tensor or array for each input.")
    return tuple(map(_tensors, given)), {}


def _tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        import torch

        return torch.from_numpy(value)
    if isinstance(value, tuple | list):
        return type(value)(map(_tensors, value))
    return value


def _dynamic(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Which axes are dynamic, in the structure of the arguments."""
    if keywords:
        return {name: _batched(value) for name, value in keywords.items()}
    return tuple(map(_batched, arguments))


def _batched(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(map(_batched, value))
    return {0: BATCH} if getattr(value, "ndim", 0) else None


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode for a while, each part of it back into its own afterwards."""
    before = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training
