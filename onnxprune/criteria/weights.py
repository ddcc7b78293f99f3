"""What a criterion reads while it scores: slices of constants as matrices, one row an index."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from onnxprune.calibration.evidence import Evidence
from onnxprune.calibration.statistics import Statistic
from onnxprune.coupling.groups import Floats, Group, Indices, Slice, Structure
from onnxprune.criteria.reductions import REDUCTIONS, Reduction, reduce_slices
from onnxprune.model.constants import Array, Constants
from onnxprune.model.naming import listed

Mask = npt.NDArray[np.bool_]

UnitScores = Callable[[Slice], Floats]

LARGE = 1e100
"""Stands for infinity, so that sums and products of scores stay numbers."""


class Weights:
    """Reads the weights of a model for scoring.

    Args:
        constants: of the model, by name.
        reduction: how several slices of one group make one score.
        seed: of every random choice.
        evidence: what was measured on data.
    """

    def __init__(
        self,
        constants: Constants,
        *,
        reduction: Reduction = REDUCTIONS["mean"],
        seed: int = 0,
        evidence: Evidence | None = None,
    ) -> None:
        self._constants = constants
        self._reduction = reduction
        self._seed = seed
        self._evidence = evidence or Evidence()
        self._notes: dict[str, list[str]] = {}
        self._alive: Mapping[str, Mask] = {}

    def matrix(self, slice: Slice) -> Array:
        """The constant with the slice's axis first, shape (length of the axis, rest), float.

        Single and double precision come as they are, as a view where the layout allows it; all
        else is converted to single precision, quantised integers included (their scale is one
        factor a tensor or a channel and is left out). Values that are no numbers (strings) give
        a matrix without columns.
        """
        values = self._values(slice)
        moved = np.moveaxis(values, slice.axis, 0)
        return moved.reshape(moved.shape[0], prod(moved.shape[1:]))

    def kernels(self, slice: Slice) -> Array:
        """The constant as (length of the axis, channels, kernel positions), float.

        What is no convolution's weight has one position.
        """
        values = self._values(slice)
        moved = np.moveaxis(values, slice.axis, 0)
        channels = moved.shape[1] if moved.ndim > 2 else prod(moved.shape[1:])
        return moved.reshape(moved.shape[0], channels, prod(moved.shape[2:]))

    def restrict(self, alive: Mapping[str, Mask]) -> None:
        """From now on some units count as removed already: the masks, (units,), say which are not."""
        self._alive = alive

    def alive(self, group: Group) -> Mask:
        """The units that a criterion may compare with each other, (units,); it scores all of them."""
        found = self._alive.get(group.name)
        return np.ones(group.size, dtype=bool) if found is None else found

    def reduced(self, group: Group, slices: Sequence[Slice], unit_scores: UnitScores) -> Floats:
        """One score a unit over several slices, by the chosen reduction.

        Args:
            group: whose units are scored.
            slices: of that group; one that occurs twice (shared weights) counts once.
            unit_scores: gives (units,) for a slice, NaN where the slice does not hold the unit.
        """
        distinct: dict[tuple[str, int, bytes], Slice] = {}
        for found in slices:
            distinct.setdefault((found.constant, found.axis, found.units.tobytes()), found)
        return self.combined(group, [unit_scores(found) for found in distinct.values()])

    def combined(self, group: Group, rows: Sequence[Floats]) -> Floats:
        """One score a unit from several, by the chosen reduction.

        Args:
            group: whose units are scored.
            rows: (units,) each, NaN where one has nothing to say of a unit.
        """
        return reduce_slices(np.stack(rows) if rows else np.zeros((0, group.size)), self._reduction)

    def observed(self, group: Group, statistic: Statistic, *, layer: str = "") -> tuple[Floats, ...]:
        """A statistic of the activations, one array for each value that carries the group's units.

        Args:
            group: whose units are scored.
            statistic: one of those that the criterion was registered with as ``needs``. It says what the
                axes of the arrays are; units run along the last one, NaN where the value does not hold one.
            layer: only the values that the layer of this name reads with weights, as a slice names it.

        Raises:
            UsageError: it was not gathered.
        """
        return self._evidence.of(group, statistic, layer=layer)

    def rng(self, group: Group) -> np.random.Generator:
        """Random numbers that depend on the seed and on the group's name, not on the order of calls."""
        digest = hashlib.sha256(group.name.encode()).digest()
        return np.random.default_rng([self._seed, int.from_bytes(digest[:8], "little")])

    def note(self, group: Group, text: str) -> None:
        """Keep something that the user should read about how a group was scored."""
        self._notes.setdefault(text, []).append(group.name)

    def notes(self) -> tuple[str, ...]:
        """What was noted, one line a text, with the groups that it is about."""
        return tuple(f"{text} ({listed(names)})" for text, names in self._notes.items())

    def _values(self, slice: Slice) -> Array:
        return _as_float(self._constants[slice.constant].values())


class VisibleWeights(Weights):
    """Weights without the channels that were already removed: what greedy scoring looks at.

    Li et al. 2017 (arXiv 1608.08710, section 3.2): the kernels of a filter that read feature maps
    removed from an earlier layer do not count towards the filter's norm.

    Args:
        structure: says which axes of a constant carry which group.
        constants: of the model, by name.
        reduction: how several slices of one group make one score.
        seed: of every random choice.
        evidence: what was measured on data, on the whole model.
    """

    def __init__(
        self,
        structure: Structure,
        constants: Constants,
        *,
        reduction: Reduction = REDUCTIONS["mean"],
        seed: int = 0,
        evidence: Evidence | None = None,
    ) -> None:
        super().__init__(constants, reduction=reduction, seed=seed, evidence=evidence)
        self._kept: dict[str, Indices] = {}
        self._users: dict[str, list[tuple[Group, Slice]]] = {}
        for group in structure.groups:
            for slice in group.slices:
                self._users.setdefault(slice.constant, []).append((group, slice))

    def hide(self, kept: Mapping[str, Indices]) -> None:
        """From now on show only the kept units of the groups named here, and all of the others."""
        self._kept = dict(kept)

    def _values(self, slice: Slice) -> Array:
        values = super()._values(slice)
        for axis, visible in self._visible(slice).items():
            values = np.compress(visible, values, axis=axis)
        return values

    def _visible(self, slice: Slice) -> dict[int, Mask]:
        """For every other axis of the constant that lost channels, which indices are left."""
        visible: dict[int, Mask] = {}
        for group, other in self._users.get(slice.constant, ()):
            if other.axis == slice.axis or group.name not in self._kept:
                continue
            # position -1 stands for "no unit of this group", which nothing removes
            alive = np.zeros(group.size + 1, dtype=bool)
            alive[self._kept[group.name]] = True
            alive[-1] = True
            # several groups may run along one axis: an index is gone when any of them removes it
            left = alive[other.units]
            visible[other.axis] = left & visible.get(other.axis, np.True_)
        return visible


def finite(values: Floats) -> Floats:
    """The values with 0 for what is no number: such a weight must not make its filter important."""
    cleaned: Floats = np.nan_to_num(values, nan=0.0, posinf=LARGE, neginf=-LARGE)
    return cleaned


def _as_float(values: Array) -> Array:
    """The values in single or double precision, without a copy where they are so already."""
    plain = np.asarray(values)  # a memory map's own class slows every operation down
    if plain.dtype in (np.float32, np.float64):
        return plain
    if plain.dtype.kind == "c":
        magnitude: Array = np.abs(plain)
        return magnitude
    try:
        return plain.astype(np.float32)
    except (TypeError, ValueError):
        return np.zeros((*plain.shape, 0), dtype=np.float32)
