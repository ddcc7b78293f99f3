"""Random inputs at which a model is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from onnxprune.coupling import Coupling
from onnxprune.errors import InputError, UsageError
from onnxprune.execution.execution import Refusal
from onnxprune.execution.inputs import SIZES, Input, Undrawable, draw, inputs_of
from onnxprune.model.constants import Array

Feed = Mapping[str, Array]
Shapes = Mapping[str, tuple[int, ...]]

FREE_SIZES = tuple(dict.fromkeys((224, *(size for _, size in SIZES))))
"""What symbolic dims other than the batch are tried with in turn; what image networks see comes first."""


class Runs(Protocol):
    """Whatever runs on a feed."""

    def run(self, feed: Feed) -> object:
        """Run once; raises ``Refusal`` where that fails."""


def inputs_for(coupling: Coupling, name: str, shapes: Shapes) -> list[Input]:
    """The inputs of a model, with the shapes that the user gave.

    Args:
        coupling: of the model.
        name: what messages call it.
        shapes: input name -> shape.

    Raises:
        InputError: an input of a kind that no random value is known for.
        UsageError: a shape that does not fit.
    """
    try:
        found = inputs_of(coupling)
    except Undrawable as exc:
        raise InputError(f"{name} cannot be run on random inputs: {exc}.") from exc
    return [_shaped(value, shapes[value.name]) if value.name in shapes else value for value in found]


def batch_of(inputs: Sequence[Input], asked: int | None, name: str) -> int:
    """The batch size that a model is measured at.

    Args:
        inputs: of the model.
        asked: by the user, None for what the model says, and 1 where it leaves it open.
        name: what messages call the model.

    Raises:
        UsageError: the model has another one fixed.
    """
    leading = [value.dims[0] for value in inputs if len(value.dims) > 1]
    fixed = [dim for dim in leading if isinstance(dim, int)]
    if not fixed or len(fixed) < len(leading):
        return asked or 1
    if asked is not None and asked != fixed[0]:
        raise UsageError(
            f"{name} has a fixed batch of {fixed[0]}, it cannot run with --batch {asked}.",
            hint="Leave --batch out, or export the model with a dynamic batch axis.",
        )
    return fixed[0]


def working_feed(session: Runs, inputs: Sequence[Input], batch: int, *, seed: int, name: str) -> Feed:
    """A feed that the session runs on; symbolic dims take the first size that works.

    Raises:
        InputError: there is none.
    """
    reason = ""
    for free in _sizes(inputs):
        feed = draw(list(inputs), (batch, free), seed=seed)
        try:
            session.run(feed)
        except Refusal as exc:
            reason = reason or str(exc)
            continue
        return feed
    raise InputError(
        f"{name} does not run on random inputs: {reason}.",
        hint="Where input sizes are open, --shape NAME=1x3x640x640 says which to take.",
    )


def parse_shapes(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Input shapes from ``NAME=1x3x224x224``.

    Raises:
        UsageError: not of that form.
    """
    found = {}
    for text in texts:
        name, equals, dims = text.rpartition("=")
        sizes = dims.replace(",", "x").split("x")
        if not (equals and name and all(size.isdecimal() and int(size) > 0 for size in sizes)):
            raise UsageError(f"--shape {text} is no shape.", hint="Write it as NAME=1x3x224x224.")
        found[name] = tuple(int(size) for size in sizes)
    return found


def _sizes(inputs: Sequence[Input]) -> tuple[int, ...]:
    """Sizes to try; a single one where nothing beside the batch is open."""
    free = any(
        isinstance(dim, str) and (axis or len(value.dims) == 1)
        for value in inputs
        for axis, dim in enumerate(value.dims)
    )
    return FREE_SIZES if free else FREE_SIZES[:1]


def _shaped(value: Input, shape: tuple[int, ...]) -> Input:
    fits = len(shape) == len(value.dims) and all(
        own == size for own, size in zip(value.dims, shape, strict=True) if isinstance(own, int)
    )
    if not fits:
        declared = "x".join(str(dim or "?") for dim in value.dims)
        raise UsageError(
            f"--shape {value.name}={'x'.join(map(str, shape))} does not fit: the input is {declared}.",
            hint="Only sizes that the model leaves open can be chosen.",
        )
    return replace(value, dims=shape)
