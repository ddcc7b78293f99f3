"""Inner values in which a model is to be like its teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from onnx import NodeProto

from onnxprune.errors import UsageError
from onnxprune.model.model import Model
from onnxprune.model.naming import quoted
from onnxprune.model.trace import trace_pair

AUTO = "auto"
"""Stands for the last value of each shape that pruning has left as it was."""

NONE = "none"

MOST = 4
"""Values that are chosen at most, the last ones: each is kept for every sample of a step, twice."""

_LEAST_RANK = 3
"""Of a value that is more than a vector a sample."""

_SAME = 0.9
"""Share of a model's values that its teacher makes with the same operators, or it is another network."""

_PASSED_OVER = frozenset({"Conv", "ConvTranspose"})
"""Operators whose own results are not chosen: what a module returns has no normalisation behind it."""
_PASSED_OVER |= {"Cast", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape"}
_PASSED_OVER |= {"Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
"""Nor are those of operators that only move what is there."""


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
        return _last_of_each_shape(model, teacher, own, other)
    for glob in wanted:
        if not any(fnmatchcase(name, glob) for name in both):
            raise UsageError(
                f"--features {quoted(glob)} names no value that model and teacher both have.",
                hint=f"Such values are, for example: {', '.join(both[-4:]) or 'none'}.",
            )
    return tuple(name for name in both if any(fnmatchcase(name, glob) for glob in wanted))


def _last_of_each_shape(
    model: Model, teacher: Model, own: Mapping[str, NodeProto], other: Mapping[str, NodeProto]
) -> tuple[str, ...]:
    """Ends of stages, where a model has them: they see all that pruning did before, at little cost.

    In residual networks streams often stay whole while the layers inside of the blocks are cut.
    """
    same = [name for name, node in own.items() if name in other and other[name].op_type == node.op_type]
    if len(same) < _SAME * len(own):
        return ()
    shapes, theirs = trace_pair(model).first.shapes, trace_pair(teacher).first.shapes
    inner = _before_weights(model)
    last: dict[tuple[int, ...], str] = {}
    for name in same:
        shape = shapes.get(name, ())
        plain = name in inner and own[name].op_type not in _PASSED_OVER
        if plain and len(shape) >= _LEAST_RANK and shape == theirs.get(name):
            last.pop(shape, None)
            last[shape] = name
    return tuple(last.values())[-MOST:]


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
