"""Arguments of the verbs in the forms that a user may give them, brought into one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from onnxprune.criteria import Criterion, Score, criterion
from onnxprune.errors import UsageError

Spec = str | Score | Criterion
"""A criterion as it may be given."""

Data: TypeAlias = Any
"""What ``open_samples`` takes: where samples are, arrays, or ``Samples``."""

LayerRatios = Mapping[str, float] | Iterable[tuple[str, float]]


def stages(
    criterion: Spec | Sequence[Spec] | None, then: Spec | Sequence[Spec]
) -> tuple[Spec | None, tuple[Spec, ...]]:
    """The first criterion, None for the usual one, and those that follow it.

    Raises:
        UsageError: there is none.
    """
    if criterion is None:
        return None, _listed(then)
    found = (*_listed(criterion), *_listed(then))
    if not found:
        raise UsageError("No criterion is given.", hint="Leave the argument out for the usual one.")
    return found[0], found[1:]


def _listed(given: Spec | Sequence[Spec]) -> tuple[Spec, ...]:
    return tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else (given,)


def as_criterion(given: Spec) -> Criterion:
    """A criterion from its spelling, or from a function of the user's own."""
    if isinstance(given, Criterion):
        return given
    if isinstance(given, str):
        return criterion(given)
    return Criterion(getattr(given, "__name__", "function"), given)


def pairs(layer_ratios: LayerRatios) -> tuple[tuple[str, float], ...]:
    """Ratios by glob as ordered pairs; the last match counts."""
    items = layer_ratios.items() if isinstance(layer_ratios, Mapping) else layer_ratios
    return tuple((glob, float(ratio)) for glob, ratio in items)


def globs(given: str | Iterable[str]) -> tuple[str, ...]:
    """One glob or several as a tuple."""
    return (given,) if isinstance(given, str) else tuple(given)
