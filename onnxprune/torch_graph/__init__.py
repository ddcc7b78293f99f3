"""ONNX graphs as modules of torch, and trained values back into the graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from onnxprune.errors import MissingExtraError
from onnxprune.model.load import Source
from onnxprune.model.model import Model

if TYPE_CHECKING:
    from onnxprune.torch_graph.batch_norm import Batch
    from onnxprune.torch_graph.module import OnnxModule

__all__ = ["insert_batch_norm", "to_torch", "write_back"]


def to_torch(model: Source, *, outputs: Sequence[str] | None = None) -> OnnxModule:
    """An ONNX model as a ``torch.nn.Module`` that can be trained.

    The module computes what the graph computes, from parameters that are named after its initializers
    (``module.initializer_names`` maps one to the other). It starts in evaluation mode. In training mode batch
    normalisation takes the statistics of the batch and keeps running ones, and dropout drops.

    Args:
        model: path, bytes, ``onnx.ModelProto`` or loaded model.
        outputs: names of the values that the module returns, inner ones included; None for the outputs of
            the graph.

    Raises:
        InputError: the model cannot be loaded, or has an operator that cannot be translated.
        UsageError: ``outputs`` names a value that the graph does not have.
        MissingExtraError: torch is not installed.
    """
    _require_torch()
    from onnxprune.torch_graph.convert import build_module

    return build_module(model, outputs)


def insert_batch_norm(module: OnnxModule, batches: Iterable[Batch]) -> tuple[str, ...]:
    """Put a batch normalisation behind every convolution that has none, for the time of training.

    Exporters fold batch normalisation away; training goes better with it. Each one starts as the identity on
    the given batches: its running statistics are those of the convolution's output, its scale and bias undo
    the normalisation. Filters are multiplied by powers of two, which the normalisation undoes too, so that a
    usual learning rate turns them as far as those of a network that has its normalisation. ``write_back``
    folds all that into weights and biases again, so that the graph stays as it was; a convolution without a
    bias gets one.

    A convolution keeps as it is whose weight others share, or whose output the module returns.

    Args:
        module: made by ``to_torch``; it is changed. Parameters that an optimiser holds stay valid, the
            new ones have to be given to it.
        batches: inputs to take the statistics from: a tensor each, or a sequence or mapping of them where the
            graph has several inputs.

    Returns:
        Paths of the normalisations in the module.

    Raises:
        UsageError: there are no batches, or the module is a copy.
    """
    from onnxprune.torch_graph.batch_norm import insert

    return insert(module, batches)


def write_back(module: OnnxModule, model: Model) -> Model:
    """The model with the values that a module made from it has now.

    Weights and the running statistics of batch normalisations are taken from the module; everything else,
    constants that did not change included, stays as it is in the source.

    Args:
        module: made by ``to_torch`` from the same model.
        model: the source; it is not changed.

    Raises:
        UsageError: the module was made from another model.
    """
    from onnxprune.torch_graph.write_back import write

    return write(module, model)


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError(
            f"Turning a model into a torch module needs torch, which cannot be imported: {exc}.",
            hint='pip install "onnxprune[torch]"',
        ) from exc
