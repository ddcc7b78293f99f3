"""Least squares for one layer: damped, drawn towards the old weights, checked on rows held back.

He et al. 2017 (arXiv 1707.06168) and Luo et al. 2017 (ThiNet, arXiv 1707.06342) fit the weights that are
left after pruning to the outputs of the unpruned layer. Here the damping is chosen on samples that the fit
has not seen, and no fit is applied that does worse there than what it would replace.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxprune.coupling.groups import Floats
from onnxprune.reconstruction.moments import Moments
from onnxprune.reconstruction.rows import Rows

DAMPINGS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Ridge terms to try, relative to the mean square of an input column."""

NEGLIGIBLE = 1e-9
"""Error relative to the variance of the targets below which there is nothing to mend."""

GAIN = 0.999
"""What a fit has to bring the error on held-back samples down to, at most, to be applied."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What was found for one layer.

    Attributes:
        weight: (groups, columns, channels).
        bias: (groups, channels).
        before: error on held-back rows with the old weights, as a share of the targets' variance.
        after: the same with the new ones.
        choice: ``fitted``, ``constant term`` or ``kept``.
    """

    weight: Floats
    bias: Floats
    before: float
    after: float
    choice: str


def fit(own: Moments | Rows, held: Moments | Rows, weight: Floats, bias: Floats, *, centred: bool) -> Fit:
    """Fit a layer, or keep it as it is.

    Args:
        own: rows to fit by.
        held: rows to choose by.
        weight: old weights, (groups, columns, channels).
        bias: old constant terms, (groups, channels).
        centred: whether a constant term is fitted beside.
    """
    scale = float(np.sum(held.variance())) or 1.0

    def loss(found: tuple[Floats, Floats]) -> float:
        return float(np.sum(held.error(*found))) / scale

    before = loss((weight, bias))
    kept = Fit(weight, bias, before, before, "kept")
    if before <= NEGLIGIBLE or not np.isfinite(before):
        return kept
    every = own + held  # type: ignore[operator]  # both are of one kind
    trials: dict[float, float] = {}
    for damping in DAMPINGS:
        trials[damping] = loss(_ridge(own, weight, bias, damping, centred))
    best = min(trials, key=lambda damping: trials[damping])
    shifted = loss((weight, own.constant(weight))) if centred else before
    if min(trials[best], shifted) > GAIN * before:
        return kept
    if shifted <= trials[best]:
        return Fit(weight, every.constant(weight), before, shifted, "constant term")
    return Fit(*_ridge(every, weight, bias, best, centred), before, trials[best], "fitted")


def _ridge(
    own: Moments | Rows, weight: Floats, bias: Floats, damping: float, centred: bool
) -> tuple[Floats, Floats]:
    if isinstance(own, Rows):
        found = own.ridge(weight, damping, centred=centred)
    else:
        xx, xy = own.covariance(centred=centred)
        found = weight + np.linalg.solve(
            damped(xx, damping), xy - xx @ weight - (0 if centred else _shift(own, bias))
        )
    return found, own.constant(found) if centred else bias


def _shift(own: Moments, bias: Floats) -> Floats:
    """What a constant term that stays takes off the products of inputs and targets."""
    shift: Floats = own.x[:, :, None] * bias[:, None, :] / max(1, own.rows)
    return shift


def damped(xx: Floats, damping: float) -> Floats:
    """The matrices with a share of their mean diagonal added to the diagonal, (groups, columns, columns)."""
    diagonal = np.einsum("gkk->gk", xx)
    level = damping * diagonal.mean(axis=1, keepdims=True)
    result: Floats = xx.copy()
    np.einsum("gkk->gk", result)[...] += np.where(level > 0, level, 1.0)
    return result
