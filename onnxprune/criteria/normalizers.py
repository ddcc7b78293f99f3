"""How the scores within one group are scaled, so that groups can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from onnxprune.coupling.groups import Floats

Normalizer = Callable[[Floats], Floats]
"""(units,) -> (units,), order within the group unchanged."""


def _divided(scores: Floats, by: float) -> Floats:
    """Scores over the size of ``by``, whose sign must not turn the order round; as they are over 0."""
    with np.errstate(over="ignore"):
        return scores / abs(by) if by else scores


def _none(scores: Floats) -> Floats:
    return scores


def _mean(scores: Floats) -> Floats:
    return _divided(scores, float(scores.mean()))


def _max(scores: Floats) -> Floats:
    return _divided(scores, float(scores.max()))


def _sum(scores: Floats) -> Floats:
    return _divided(scores, float(scores.sum()))


def _standardize(scores: Floats) -> Floats:
    low = float(scores.min())
    return _divided(scores - low, float(scores.max()) - low)


def _gaussian(scores: Floats) -> Floats:
    return _divided(scores - scores.mean(), float(scores.std()))


NORMALIZERS: Mapping[str, Normalizer] = MappingProxyType(
    {
        "none": _none,
        "mean": _mean,
        "max": _max,
        "sum": _sum,
        "standardize": _standardize,  # to the range 0 to 1
        "gaussian": _gaussian,  # to mean 0, deviation 1
    }
)
"""The normalisers by the name that a user types."""


def normalize(scores: Floats, normalizer: Normalizer) -> Floats:
    """Scores of one group, shape (units,), scaled; an empty group stays empty."""
    return normalizer(scores) if scores.size else scores
