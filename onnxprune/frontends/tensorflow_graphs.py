"""TensorFlow functions to ONNX, through tf2onnx."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from onnx import ModelProto

from onnxprune.errors import UsageError
from onnxprune.frontends.affine import fold_affine
from onnxprune.frontends.canonical import canonicalise
from onnxprune.frontends.declare import declare_results
from onnxprune.frontends.extras import require
from onnxprune.frontends.failure import converting
from onnxprune.frontends.missing_operators import HANDLERS
from onnxprune.frontends.quiet import muted
from onnxprune.frontends.tidy import check_operators, name_dimensions, order_outputs, rename_values

OLDEST_OPSET, NEWEST_OPSET = 9, 18
"""What tf2onnx 1.17 writes."""

HINT = "Replace the layer, or convert the model with other tools ('python -m tf2onnx.convert --help')."


@dataclass(frozen=True)
class Input:
    """An input of a TensorFlow function.

    Attributes:
        name: that the ONNX input gets.
        shape: None for dynamic axes.
        dtype: TensorFlow's name of the element type.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


def checked_opset(opset: int | None) -> int:
    """The operator set to write.

    Raises:
        UsageError: tf2onnx does not know it.
    """
    if opset is None:
        return NEWEST_OPSET
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise UsageError(
            f"tf2onnx does not write opset {opset}.", hint=f"It knows {OLDEST_OPSET} to {NEWEST_OPSET}."
        )
    return opset


def convert_function(
    call: Callable[..., Sequence[Any]],
    inputs: Sequence[Input],
    outputs: Sequence[str],
    *,
    what: str,
    name: str,
    opset: int | None,
    batched: bool = False,
) -> ModelProto:
    """Trace a function of tensors and convert the graph.

    Args:
        call: takes one tensor an input and returns one an output.
        inputs: in the order of the arguments.
        outputs: names for what it returns, in order.
        what: the model, for messages.
        name: of the graph.
        opset: operator set, None for the newest.
        batched: whether the first axis of every input and output is the batch.

    Raises:
        InputError: the graph cannot be traced or expressed in ONNX.
        MissingExtraError: TensorFlow or tf2onnx is not installed.
        UsageError: the opset cannot be written.
    """
    version = checked_opset(opset)
    tf, tf2onnx = import_converter(f"Converting {what}")
    specs = [tf.TensorSpec(i.shape, i.dtype, name=f"input_{n:04d}") for n, i in enumerate(inputs)]
    keys = [f"output_{n:04d}" for n in range(len(outputs))]

    def function(*values: Any) -> dict[str, Any]:
        return dict(zip(keys, (tf.identity(value) for value in call(*values)), strict=True))

    with converting(what, HINT), same_names(tf2onnx), muted():
        traced = tf.function(function, input_signature=specs, autograph=False)
        with inlined(tf):
            traced.get_concrete_function()
        proto, _ = tf2onnx.convert.from_function(
            traced, input_signature=specs, opset=version, custom_op_handlers=dict(HANDLERS)
        )
    order_outputs(proto, keys)
    names = {spec.name: i.name for spec, i in zip(specs, inputs, strict=True)}
    rename_values(proto, {**names, **dict(zip(keys, outputs, strict=True))})
    name_dimensions(proto, batched=batched)
    fold_affine(proto)
    canonicalise(proto, name)
    check_operators(proto, what, HINT)
    declare_results(proto)
    return proto


def import_converter(purpose: str) -> tuple[ModuleType, ModuleType]:
    """TensorFlow and tf2onnx.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    return require("tensorflow", purpose), require("tf2onnx", purpose)


@contextmanager
def inlined(tf: ModuleType) -> Iterator[None]:
    """Let functions that are called while another one is traced become part of it.

    Keras compiles grouped convolutions with XLA, and tf2onnx cannot look into what is compiled.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextmanager
def same_names(tf2onnx: ModuleType) -> Iterator[None]:
    """Let tf2onnx number the names that it makes up from the start, so that equal models give equal files."""
    utils = tf2onnx.utils
    before = getattr(utils, "INTERNAL_NAME", None)
    if before is None:
        yield
        return
    utils.INTERNAL_NAME = 1
    try:
        yield
    finally:
        utils.INTERNAL_NAME = max(before, utils.INTERNAL_NAME)
