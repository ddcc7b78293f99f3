"""Least squares for one layer: damped, drawn towards the old weights, checked on rows held back.

He et al. 2017 (arXiv 1707.06168) and Luo et al. 2017 (ThiNet, arXiv 1707.06342) fit the weights that are
left after pruning to the outputs of the unpruned layer. Here the damping is chosen on samples that the fit
has not seen, and no fit is applied that does worse there than what it would replace.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

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

FITTED = "fitted"
SHIFTED = "constant term"
KEPT = "kept"
"""What was done to a layer: weights and constant term fitted, the constant term only, or nothing."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What was found for one layer.

    Attributes:
        weight: (groups, columns, channels).
        bias: (groups, channels).
        before: error on held-back rows with the old weights, as a share of the targets' variance.
        after: the same with the new ones, as they were fitted without the rows held back.
        choice: ``FITTED``, ``SHIFTED`` or ``KEPT``.
    """

    weight: Floats
    bias: Floats
    before: float
    after: float
    choice: str


def fit(
    own: Moments | Rows,
    held: Moments | Rows,
    weight: Floats,
    bias: Floats,
    *,
    centred: bool,
    prices: Floats | None = None,
) -> Fit:
    """Fit a layer, or keep it as it is.

    Args:
        own: rows to fit by, with what the outputs lack with the old weights.
        held: rows to choose by.
        weight: old weights, (groups, columns, channels).
        bias: old constant terms, (groups, channels).
        centred: whether a constant term is fitted beside.
        prices: what an error of each output counts in what is chosen, (groups, channels); 1 by default.
    """
    as_it_is = np.zeros_like(weight), np.zeros_like(bias)
    if not (own.rows and held.rows):
        return Fit(weight, bias, 0.0, 0.0, KEPT)
    counts = np.ones_like(bias) if prices is None else prices
    scale = float(np.sum(counts * held.variance())) or 1.0

    def loss(change: tuple[Floats, Floats]) -> float:
        total = float(np.sum(counts * held.error(*change))) / scale
        return total if np.isfinite(total) else inf

    before = loss(as_it_is)
    kept = Fit(weight, bias, before, before, KEPT)
    if before <= NEGLIGIBLE or not np.isfinite(before):
        return kept
    every = own + held  # type: ignore[operator]  # both are of one kind
    trials = {damping: loss(_ridge(own, damping, bias, centred)) for damping in DAMPINGS}
    best = min(trials, key=lambda damping: trials[damping])
    shifted = loss((as_it_is[0], own.constant(as_it_is[0]))) if centred else before
    if min(trials[best], shifted) > GAIN * before:
        return kept
    if shifted <= trials[best]:
        return Fit(weight, bias + every.constant(as_it_is[0]), before, shifted, SHIFTED)
    change, shift = _ridge(every, best, bias, centred)
    return Fit(weight + change, bias + shift, before, trials[best], FITTED)


def _ridge(own: Moments | Rows, damping: float, bias: Floats, centred: bool) -> tuple[Floats, Floats]:
    """Changes of weight and bias."""
    if isinstance(own, Rows):
        change = own.ridge(damping, centred=centred)
    else:
        xx, xy = own.covariance(centred=centred)
        change = np.asarray(np.linalg.solve(damped(xx, damping), xy), dtype=np.float64)
    return change, own.constant(change) if centred else np.zeros_like(bias)


def damped(xx: Floats, damping: float) -> Floats:
    """The matrices with a share of their mean diagonal added to the diagonal, (groups, columns, columns)."""
    diagonal = np.einsum("gkk->gk", xx)
    level = damping * diagonal.mean(axis=1, keepdims=True)
    result: Floats = xx.copy()
    np.einsum("gkk->gk", result)[...] += np.where(level > 0, level, 1.0)
    return result
