"""Entropy of activations: a channel that always says the same tells nothing."""

from __future__ import annotations

import numpy as np

from onnxprune.calibration.statistics import Mean
from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.registry import Needs, register
from onnxprune.criteria.weights import Weights
from onnxprune.errors import UsageError


def _bound(threshold: float) -> float:
    """Units go whose normalised entropy is below the threshold.

    Raises:
        UsageError: no normalised entropy.
    """
    if not 0 <= threshold <= 1:
        raise UsageError(
            f"entropy:{threshold:g} is no normalised entropy.",
            hint="Give a number from 0 (constant) to 1 (all bins alike): entropy:0.3 removes what is below.",
        )
    return threshold


def _needs(bins: int) -> Needs:
    """Pooled activations.

    Raises:
        UsageError: fewer than two bins.
    """
    if bins < 2:
        raise UsageError(
            f"entropy with bins={bins} is always 0.", hint="Give at least 2 bins; 10 is the default."
        )
    return frozenset({Mean()})


@register("entropy", needs=_needs, threshold=_bound, bins=10)
def entropy(group: Group, weights: Weights, *, bins: int) -> Floats:
    """Entropy of the globally average-pooled activations, over the logarithm of ``bins``, (units,), 0 to 1.

    Luo & Wu 2017, "An Entropy-based Method for CNN Compression" (arXiv 1706.05791): each channel's pooled
    activations, one a sample, are counted in bins, and ``H = -sum p log p``. The bins divide each channel's
    own range from its smallest to its largest value; a channel without a range has entropy 0.
    """
    observed = weights.observed(group, Mean())
    if observed and len(observed[0]) < bins:
        weights.note(group, f"entropy: fewer than {bins} samples, one a bin; give more, or fewer bins")
    return weights.combined(group, [normalized_entropy(pooled, bins) for pooled in observed])


def normalized_entropy(pooled: Floats, bins: int) -> Floats:
    """Entropy of each column's values over bins of equal width, (samples, units) -> (units,), 0 to 1."""
    samples, units = pooled.shape
    low, high = pooled.min(axis=0), pooled.max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    with np.errstate(invalid="ignore"):
        chosen = np.minimum((pooled - low) / width * bins, bins - 1)
    held = np.isfinite(low) & np.isfinite(high)
    places = np.where(held, chosen, 0.0).astype(np.int64) * units + np.arange(units)
    counts = np.bincount(places.ravel(), minlength=bins * units).reshape(bins, units)
    share = counts / samples
    terms = np.where(counts > 0, -share * np.log(np.maximum(share, 1e-300)), 0.0)
    return np.where(held, terms.sum(axis=0) / np.log(bins), np.nan)
