"""Which outputs of a model are trained, and as what: scores of classes or other values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from onnx import NodeProto, TensorProto
from torch import Tensor

from onnxprune.errors import InputError, UsageError
from onnxprune.model.model import Model

_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})
_LEAST_PROBABILITY = 1e-12
_SUM_ERROR = 1e-3


@dataclass(frozen=True)
class Head:
    """A value that is trained.

    Attributes:
        output: of the graph, whose value it is.
        value: what the module returns for it: before a Softmax, where the graph ends in one.
    """

    output: str
    value: str


@dataclass(frozen=True)
class Form:
    """What a head holds, seen on samples.

    Attributes:
        classes: whether it has a score for each class and sample.
        probabilities: whether these are probabilities already.
    """

    classes: bool
    probabilities: bool

    def scores(self, found: Tensor) -> Tensor:
        """The scores of the classes, (samples, classes), single precision; logarithms of probabilities."""
        rows = found.float().reshape(found.shape[0], -1)
        return rows.clamp_min(_LEAST_PROBABILITY).log() if self.probabilities else rows


def heads_of(model: Model) -> tuple[Head, ...]:
    """The outputs of a graph that can be trained.

    Raises:
        InputError: there is none.
    """
    makers = {name: node for node in model.proto.graph.node for name in node.output}
    floats = [v.name for v in model.proto.graph.output if v.type.tensor_type.elem_type in _FLOATS]
    if not floats:
        raise InputError(
            "No output of the model is of floating point, so there is nothing to train.",
            hint="Export it with the scores as an output, not only the chosen class.",
        )
    return tuple(Head(name, _before_softmax(name, makers)) for name in floats)


def form_of(found: Tensor) -> Form:
    """What a head holds, by its values on some samples, samples along the first axis."""
    shape = found.shape
    classes = found.dim() >= 2 and shape[1] >= 2 and all(size == 1 for size in shape[2:])
    if not classes:
        return Form(classes=False, probabilities=False)
    rows = found.detach().float().reshape(shape[0], -1)
    sums_to_one = bool(((rows.sum(1) - 1).abs() < _SUM_ERROR).all())
    return Form(classes=True, probabilities=bool((rows >= 0).all()) and sums_to_one)


def matching(own: Sequence[Tensor], taught: Sequence[Tensor]) -> list[bool]:
    """Which features can be compared: floating point and of the same shape."""
    return [
        a.shape == b.shape and a.dim() > 0 and a.is_floating_point() and b.is_floating_point()
        for a, b in zip(own, taught, strict=True)
    ]


def paired(own: Sequence[Head], taught: Sequence[Head]) -> list[tuple[Head, Head]]:
    """Outputs of a model and of its teacher: by name, or in order where there are as many.

    Raises:
        UsageError: they cannot be matched.
    """
    by_name = {head.output: head for head in taught}
    if all(head.output in by_name for head in own):
        return [(head, by_name[head.output]) for head in own]
    if len(own) == len(taught):
        return list(zip(own, taught, strict=True))
    raise UsageError(
        f"The outputs of model and teacher do not match: {', '.join(h.output for h in own)} and "
        f"{', '.join(h.output for h in taught)}.",
        hint="The teacher is the model before pruning, or one with the same outputs.",
    )


def as_tuple(found: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What a module returns, as a tuple."""
    return found if isinstance(found, tuple) else (found,)


def finite(values: Sequence[Tensor]) -> bool:
    """Whether no value is NaN or infinite."""
    return all(bool(torch.isfinite(value).all()) for value in values)


def _before_softmax(output: str, makers: dict[str, NodeProto]) -> str:
    """What goes into the Softmax that an output comes from; the output itself where there is none."""
    name = output
    while name in makers and makers[name].op_type == "Identity" and not makers[name].domain:
        name = makers[name].input[0]
    node = makers.get(name)
    if node is not None and node.op_type in ("Softmax", "LogSoftmax") and not node.domain:
        return node.input[0] if node.input[0] in makers else output
    return output
