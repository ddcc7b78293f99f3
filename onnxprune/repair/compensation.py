"""Removed units made up for by those that are left: a constant in their place, or a kept unit, scaled.

A layer that reads removed units j computes sum_j W[:, j] a_j less than it did. Where a_j is close to
``scale * a_i + offset`` for a kept unit i, ``W[:, i] += scale * W[:, j]`` and
``bias += offset * sum(W[:, j])`` give most of it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from onnxprune.calibration import Samples
from onnxprune.calibration.carriers import readings
from onnxprune.coupling import Coupling, Group
from onnxprune.coupling.groups import Indices
from onnxprune.model.naming import listed
from onnxprune.repair.expected import ExpectedMoments
from onnxprune.repair.folding import Folding
from onnxprune.repair.measured import MeasuredMoments
from onnxprune.repair.method import Repaired, RepairOptions
from onnxprune.repair.moments import Moments, StandIns, constants, regressions
from onnxprune.surgery import Cut

UNKNOWN = "nothing is known of the activations that it reads: there are no data, and no batch normalisation"

Fit = Callable[[Moments, Indices], StandIns | None]


class Known(Protocol):
    """What is known of activations."""

    def of(self, group: Group, reading: int) -> Moments | None:
        """Moments of a group in the value of one of its readings, None where nothing is known."""


def bias(
    coupling: Coupling,
    cut: Cut,
    kept: Mapping[str, Indices],
    samples: Samples | None,
    options: RepairOptions,
) -> Repaired:
    """The mean of each removed unit, in the biases of the layers that read it."""
    return _compensate(coupling, kept, _known(coupling, samples, options), constants)


def merge(
    coupling: Coupling,
    cut: Cut,
    kept: Mapping[str, Indices],
    samples: Samples | None,
    options: RepairOptions,
) -> Repaired:
    """Each removed unit merged into the kept one that predicts it best, the rest of it into biases.

    Kim et al. 2020, "Neuron Merging: Compensating for Pruned Neurons" (arXiv 2010.13160) merge each
    removed filter into the kept one of the most similar direction. Here the line is the regression of
    the activations.
    """
    return _compensate(coupling, kept, _known(coupling, samples, options), regressions)


def _known(coupling: Coupling, samples: Samples | None, options: RepairOptions) -> Known:
    return ExpectedMoments(coupling) if samples is None else MeasuredMoments(coupling, samples, options)


def _compensate(coupling: Coupling, kept: Mapping[str, Indices], known: Known, fit: Fit) -> Repaired:
    """Fit stand-ins for every value that carries removed units, and fold them into its readers."""
    folding = Folding(coupling)
    read = readings(coupling)
    rows: list[Mapping[str, Any]] = []
    left: dict[str, list[str]] = {}
    for group in coupling.structure.groups:
        for place, reading in enumerate(read[group.name] if group.name in kept else ()):
            moments = known.of(group, place) if reading.nodes else None
            found = None if moments is None else fit(moments, kept[group.name])
            for node in reading.nodes:
                name = coupling.engine.sites[node][0].name
                reason = _folded(folding, group, node, found)
                if reason:
                    left.setdefault(reason, []).append(name)
                elif found is not None:
                    explained = float(found.explained.mean()) if len(found.gone) else 1.0
                    rows.append({"layer": name, "units": len(found.gone), "explained": round(explained, 4)})
    notes = (f"{listed(names)}: not repaired, as {reason}" for reason, names in left.items())
    return Repaired(folding.cut(kept), tuple(rows), notes=tuple(notes))


def _folded(folding: Folding, group: Group, node: int, found: StandIns | None) -> str:
    """Folds stand-ins into one reader; gives the reason where that is not possible."""
    if found is None:
        return UNKNOWN
    reader = folding.reader(group, node)
    return reader if isinstance(reader, str) else folding.fold(reader, found)
