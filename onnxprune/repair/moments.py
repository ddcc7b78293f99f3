"""What is known of activations, and the best stand-ins for removed ones that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxprune.coupling.groups import Floats, Indices

DEPENDABLE = 1e-9
"""Variance below which a unit is a constant, as a share of the largest: nothing can be scaled to fit it."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of the units of a group in one value.

    Attributes:
        mean: (units,), NaN where nothing is known of a unit.
        covariance: (units, units).
        relative: nothing is known but how units go together: the mean is 0, and the covariance that of
            proportional units up to a factor.
    """

    mean: Floats
    covariance: Floats
    relative: bool = False


@dataclass(frozen=True, eq=False)
class StandIns:
    """What takes the place of removed units: ``a_gone = scale * a_kept + offset``.

    Attributes:
        gone: (n,) removed units.
        kept: (n,) the unit that stands in for each.
        scale: (n,) 0 where a constant stands in alone.
        offset: (n,)
        explained: (n,) share of the removed unit's variance that its stand-in reproduces.
    """

    gone: Indices
    kept: Indices
    scale: Floats
    offset: Floats
    explained: Floats


def constants(moments: Moments, kept: Indices) -> StandIns | None:
    """The mean of each removed unit in its place; None where it is not known."""
    if moments.relative:
        return None
    gone = _gone(moments, kept)
    nothing = np.zeros(len(gone))
    return StandIns(gone, np.full(len(gone), kept[0]), nothing, moments.mean[gone], nothing)


def regressions(moments: Moments, kept: Indices) -> StandIns | None:
    """The kept unit, scaled and shifted, that leaves the least mean square error in place of each.

    The error of the best line through one variable is the variance times 1 - r^2, so the kept unit with
    the largest |r| stands in; None where nothing is known of any.
    """
    gone = _gone(moments, kept)
    kept = kept[np.isfinite(moments.mean[kept])]
    if not len(kept):
        return None
    variance = np.diagonal(moments.covariance)
    steady = variance <= DEPENDABLE * variance[np.isfinite(variance)].max(initial=0.0)
    cross = moments.covariance[np.ix_(gone, kept)]
    with np.errstate(divide="ignore", invalid="ignore"):
        reduction = np.where(steady[kept], 0.0, cross**2 / variance[kept])
    best = reduction.argmax(axis=1)
    rows = np.arange(len(gone))
    own = variance[kept[best]]
    scale = np.divide(cross[rows, best], own, out=np.zeros(len(gone)), where=~steady[kept[best]])
    offset = moments.mean[gone] - scale * moments.mean[kept[best]]
    share = np.divide(
        reduction[rows, best], variance[gone], out=np.zeros(len(gone)), where=variance[gone] > 0
    )
    return StandIns(gone, kept[best], scale, offset, np.clip(share, 0.0, 1.0))


def _gone(moments: Moments, kept: Indices) -> Indices:
    """Removed units of which something is known."""
    gone = np.isfinite(moments.mean)
    gone[kept] = False
    return np.flatnonzero(gone)
