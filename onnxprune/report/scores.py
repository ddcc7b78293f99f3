"""Where the scores of a group were cut: a histogram a group, small enough for any report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.coupling import Group
from onnxprune.coupling.groups import Floats, Indices

Mask = npt.NDArray[np.bool_]

MOST_GROUPS = 512
"""Groups with a histogram, in graph order: longer reports would be about nothing else."""

MOST_BINS = 32
FEWEST_BINS = 6


@dataclass(frozen=True)
class Histogram:
    """How the scores of a group's units are spread, those that stayed apart from those that went.

    Attributes:
        low: lowest score, left end of the first bin.
        high: highest score, right end of the last bin; bins are equally wide.
        kept: (bins,) units that stayed.
        removed: (bins,) units that went.
        threshold: half way between the highest score that went and the lowest that stayed; None where
            none went, or where something else than the score decided about some units.
        others: units that another criterion removed, whose scores are not of this kind; they are in no
            bin.
    """

    low: float
    high: float
    kept: tuple[int, ...]
    removed: tuple[int, ...]
    threshold: float | None
    others: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The entry of the report."""
        return {
            "low": self.low,
            "high": self.high,
            "kept": list(self.kept),
            "removed": list(self.removed),
            "threshold": self.threshold,
            "others": self.others,
        }


def histograms(
    groups: Sequence[Group],
    scores: Mapping[str, Floats],
    kept: Mapping[str, Indices],
    others: Mapping[str, Mask] = MappingProxyType({}),
) -> dict[str, Histogram]:
    """A histogram for each group that could be cut and has scores.

    Args:
        groups: in graph order.
        scores: (units,) by group, those that the choice was made with.
        kept: ascending units that stay, by group; one that is not named keeps all.
        others: (units,) by group, units that another criterion removed.
    """
    found: dict[str, Histogram] = {}
    for group in groups:
        own = scores.get(group.name)
        if group.held or own is None or len(own) != group.size or len(found) == MOST_GROUPS:
            continue
        stays = np.ones(group.size, dtype=bool)
        if group.name in kept:
            stays[:] = False
            stays[kept[group.name]] = True
        counted = np.isfinite(own) & ~others.get(group.name, np.zeros(group.size, dtype=bool))
        if counted.any():
            drawn = histogram(own[counted], stays[counted])
            found[group.name] = replace(drawn, others=int((~counted).sum()))
    return found


def histogram(scores: Floats, stays: Mask) -> Histogram:
    """The histogram of some scores.

    Args:
        scores: (units,), finite, at least one.
        stays: (units,) whether the unit stays.
    """
    low, high = float(scores.min()), float(scores.max())
    bins = int(np.clip(ceil(2 * sqrt(len(scores))), FEWEST_BINS, MOST_BINS))
    place = _places(scores, bins)
    return Histogram(
        low=_short(low),
        high=_short(high),
        kept=tuple(np.bincount(place[stays], minlength=bins).tolist()),
        removed=tuple(np.bincount(place[~stays], minlength=bins).tolist()),
        threshold=_threshold(scores, stays),
    )


def _places(scores: Floats, bins: int) -> Indices:
    """The bin of each score; halves, so that a difference of huge scores does not overflow."""
    half = scores / 2
    span = half.max() - half.min()
    if not span:
        return np.zeros(len(scores), dtype=np.int64)
    places: Indices = ((half - half.min()) / span * bins).astype(np.int64)
    return np.minimum(places, bins - 1)


def _threshold(scores: Floats, stays: Mask) -> float | None:
    if stays.all() or not stays.any():
        return None
    gone, left = float(scores[~stays].max()), float(scores[stays].min())
    return _short(gone / 2 + left / 2) if gone <= left else None


def _short(value: float) -> float:
    """Six digits: no report is read more closely, and last digits differ between machines."""
    return float(f"{value:.6g}")
