"""Inner values in which a model is to be like its teacher."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from math import prod

from onnx import NodeProto

from onnxprune.errors import UsageError
from onnxprune.model.model import Model
from onnxprune.model.naming import quoted
from onnxprune.model.trace import trace_pair

AUTO = "auto"
"""Stands for the residual sums and the last value of each shape, where pruning has left them as they were."""

NONE = "none"

MOST = 32
"""Values that are chosen at most, the last ones."""

MOST_ELEMENTS = 1 << 21
"""Of the chosen values for one sample: they are kept for every sample of a step, twice."""

_LEAST_RANK = 3
"""Of a value that is more than a vector a sample."""

_SAME = 0.9
"""Share of a model's values that its teacher makes with the same operators, or it is another network."""

_PASSED_OVER = frozenset({"Conv", "ConvTranspose"})
"""Operators whose own results are not chosen: what a module returns has no normalisation behind it."""
_PASSED_OVER |= {"Cast", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape"}
_PASSED_OVER |= {"Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
"""Nor are those of operators that only move what is there."""

_ACTIVATIONS = frozenset({"Clip", "Elu", "Gelu", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Relu", "Selu"})
"""Operators that a residual sum goes through before anything else reads it."""


def feature_names(model: Model, teacher: Model, wanted: Sequence[str]) -> tuple[str, ...]:
    """The inner values of both models that are compared, in the order of the graph.

    Args:
        model: that is trained.
        teacher: that it learns from.
        wanted: globs of names, or ``auto`` or ``none`` alone.

    Raises:
        UsageError: a glob matches none.
    """
    if tuple(wanted) == (NONE,):
        return ()
    own, other = _inner(model), _inner(teacher)
    both = [name for name in own if name in other]
    if tuple(wanted) == (AUTO,):
        return _left_whole(model, teacher, own, other)
    for glob in wanted:
        if not any(fnmatchcase(name, glob) for name in both):
            raise UsageError(
                f"--features {quoted(glob)} names no value that model and teacher both have.",
                hint=f"Such values are, for example: {', '.join(both[-4:]) or 'none'}.",
            )
    return tuple(name for name in both if any(fnmatchcase(name, glob) for glob in wanted))


def _left_whole(
    model: Model, teacher: Model, own: Mapping[str, NodeProto], other: Mapping[str, NodeProto]
) -> tuple[str, ...]:
    """Ends of blocks and stages, where a model has them: they see all that pruning did before.

    In residual networks streams often stay whole while the layers inside of the blocks are cut.
    """
    same = [name for name, node in own.items() if name in other and other[name].op_type == node.op_type]
    if len(same) < _SAME * len(own):
        return ()
    shapes, theirs = trace_pair(model).first.shapes, trace_pair(teacher).first.shapes
    inner = _before_weights(model)
    whole = [
        name
        for name in same
        if name in inner
        and own[name].op_type not in _PASSED_OVER
        and len(shapes.get(name, ())) >= _LEAST_RANK
        and shapes[name] == theirs.get(name)
    ]
    last = {shapes[name]: name for name in whole}
    sums = set(_sums(model, own, shapes))
    first = [*reversed(last.values()), *(name for name in reversed(whole) if name in sums)]
    chosen = set(_within(dict.fromkeys(first), shapes))
    return tuple(name for name in whole if name in chosen)


def _within(names: Iterable[str], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    """As many of the first ones as may be kept."""
    left = MOST_ELEMENTS
    for name in islice(names, MOST):
        left -= prod(shapes[name][1:])
        if left < 0:
            return
        yield name


def _sums(
    model: Model, made: Mapping[str, NodeProto], shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[str]:
    """Sums of two values of one shape, each behind the activation that alone reads it, if one does.

    A mask that is added to the scores of an attention has fewer axes, or shorter ones.
    """
    readers: dict[str, list[NodeProto]] = {}
    for node in model.proto.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for name, node in made.items():
        alike = all(value in shapes and shapes[value] == shapes.get(name) for value in node.input)
        if node.op_type in ("Add", "Sum") and alike and not any(v in model.constants for v in node.input):
            alone = readers.get(name, [])
            activated = len(alone) == 1 and alone[0].op_type in _ACTIVATIONS
            yield alone[0].output[0] if activated else name


def _before_weights(model: Model) -> set[str]:
    """The values that weights are still multiplied with; behind the last ones all is the output itself."""
    found: set[str] = set()
    for node in reversed(model.proto.graph.node):
        constants = (model.constants.get(name) for name in node.input)
        weighs = any(constant is not None and len(constant.shape) > 1 for constant in constants)
        if weighs or not found.isdisjoint(node.output):
            found.update(node.input)
    return found


def _inner(model: Model) -> dict[str, NodeProto]:
    """The values between inputs and outputs with the nodes that make them, in the order of the graph."""
    outputs = {value.name for value in model.proto.graph.output}
    made = ((name, node) for node in model.proto.graph.node for name in node.output if name)
    return {name: node for name, node in made if name not in model.constants and name not in outputs}
