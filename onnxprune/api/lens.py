"""The units of a source in a model that was cut out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxprune.api.lineage import Left, Lineage
from onnxprune.coupling import Coupling, Structure
from onnxprune.coupling.groups import Floats, Group, Indices, Slice
from onnxprune.criteria import Rescore, Scores
from onnxprune.criteria.weights import Mask
from onnxprune.plan import Stage

Place = tuple[str, Indices]
"""A group of the source, and the unit of it, (units,), that each unit of a group of the cut model is."""

Reading = tuple[str, Place]
"""The layer that reads a constant, and the units of its group there."""


@dataclass(frozen=True, eq=False)
class Lens:
    """Which unit of the source each unit of a cut model is.

    Cutting may divide a group (what tied its units is gone) or make the graph harder to follow, so groups of
    the two need not be the same; a unit that cannot be found again stays.

    Attributes:
        source: groups of the source.
        current: groups of the cut model.
        places: by group of the cut model; groups that cannot be found again are missing.
        gone: (units,) by group of the source, those that are cut already.
    """

    source: Structure
    current: Structure
    places: Mapping[str, Place]
    gone: Mapping[str, Mask]

    def lifted(self, scores: Mapping[str, Floats]) -> dict[str, Floats]:
        """Scores (units,) by group of the source: units that are gone lowest, those not found highest."""
        found = {name: np.where(gone, -np.inf, np.inf) for name, gone in self.gone.items()}
        for name, (group, units) in self.places.items():
            found[group][units] = scores[name]
        return found

    def stage(self, stage: Stage) -> Stage:
        """A criterion on the cut model as one that scores units of the source; it decides nothing."""

        def score(alive: Mapping[str, Mask]) -> Scores:
            own = {name: alive[group][units] for name, (group, units) in self.places.items()}
            scores = stage.score(own)
            return Scores(self.lifted(scores), notes=scores.notes)

        return Stage(score)

    def rescore(self, rescore: Rescore) -> Rescore:
        """Greedy scoring on the cut model for groups of the source."""
        by_name = self.current.by_name()

        def lifted(group: Group, kept: Mapping[str, Indices]) -> Floats:
            own = self.kept(kept)
            found = np.where(self.gone[group.name], -np.inf, np.inf)
            for name, (source, units) in self.places.items():
                if source == group.name:
                    found[units] = rescore(by_name[name], own)
            return found

        return lifted

    def kept(self, kept: Mapping[str, Indices]) -> dict[str, Indices]:
        """Kept units of the source as those of the cut model; groups that lose no more are not named."""
        found = {}
        for name, (group, units) in self.places.items():
            if group in kept:
                stays = np.isin(units, kept[group])
                if stays.any() and not stays.all():
                    found[name] = np.flatnonzero(stays)
        return found

    def done(self, kept: Mapping[str, Indices]) -> dict[str, Indices]:
        """The units of the source that stay once ``kept`` of the cut model is carried out."""
        gone = {name: mask.copy() for name, mask in self.gone.items()}
        for name, positions in kept.items():
            group, units = self.places[name]
            gone[group][np.delete(units, positions)] = True
        return {name: np.flatnonzero(~mask) for name, mask in gone.items() if mask.any()}

    def lost(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        """Groups of the source that cannot be brought to these counts: units of theirs are not found."""
        seen = {name: mask.copy() for name, mask in self.gone.items()}
        for group, units in self.places.values():
            seen[group][units] = True
        return tuple(
            name
            for name, mask in seen.items()
            if not mask.all() and counts.get(name, len(mask)) < int((~self.gone[name]).sum())
        )


def open_lens(lineage: Lineage, current: Coupling) -> Lens:
    """Find the units of a cut model in its source.

    Args:
        lineage: of the cut model.
        current: its coupling.
    """
    source = lineage.source.structure
    axes: dict[tuple[str, int], list[Reading]] = {}
    for group in source.groups:
        for own in group.slices:
            if own.constant not in lineage.divided:
                axes.setdefault((own.constant, own.axis), []).append((own.layer, (group.name, own.units)))
    gone = {group.name: np.zeros(group.size, dtype=bool) for group in source.groups}
    for name, kept in lineage.kept.items():
        gone[name] = ~np.isin(np.arange(len(gone[name])), kept)
    if current is lineage.source and not lineage.kept:
        itself = {group.name: (group.name, np.arange(group.size)) for group in source.groups}
        return Lens(source, source, itself, gone)
    left = lineage.left()
    found = {group.name: _place(group, axes, left, gone) for group in current.structure.groups}
    places = {name: place for name, place in found.items() if place is not None}
    return Lens(source, current.structure, places, gone)


def _place(
    group: Group,
    axes: Mapping[tuple[str, int], Sequence[Reading]],
    left: Left,
    gone: Mapping[str, Mask],
) -> Place | None:
    """Where a group of the cut model is in the source, None where no group of the source holds its units."""
    for own in group.slices:
        for name, units in _candidates(own, axes.get((own.constant, own.axis), ())):
            kept = left.get(own.constant, {}).get(own.axis)
            before = units if kept is None else units[kept]
            found = _single(own.units, before, group.size) if len(before) == len(own.units) else None
            if found is not None and not gone[name][found].any():
                return name, found
    return None


def _candidates(own: Slice, readings: Sequence[Reading]) -> Sequence[Place]:
    """Groups of the source along an axis; of a constant that exporters merged, those of the same layer."""
    merged = len({name for _, (name, _) in readings}) > 1
    return [place for layer, place in readings if not merged or layer == own.layer]


def _single(units: Indices, before: Indices, size: int) -> Indices | None:
    """The one unit before of each unit now, (size,); None unless each has exactly one of its own."""
    own = units >= 0
    low, high = np.full(size, np.iinfo(np.int64).max), np.full(size, -1)
    np.minimum.at(low, units[own], before[own])
    np.maximum.at(high, units[own], before[own])
    if (low != high).any() or (low < 0).any() or len(np.unique(low)) != size:
        return None
    return low
