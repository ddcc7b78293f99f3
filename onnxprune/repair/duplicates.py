"""Finds units that nobody would miss: exact duplicates, and those that never change."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from onnxprune.coupling.groups import Group, Indices, Role, Slice
from onnxprune.model.constants import Array, Constants


@dataclass(frozen=True)
class Redundant:
    """What a group could do without.

    Attributes:
        twins: (survivor, duplicate) unit pairs; a survivor is nobody's duplicate.
        constant: units whose filters are all zero, so that their activation depends on no input.
    """

    twins: tuple[tuple[int, int], ...]
    constant: tuple[int, ...]


def find_redundant(group: Group, constants: Constants) -> Redundant:
    """Duplicates and constants among the units of a group, exact to the last bit."""
    made = [s for s in group.slices if s.role is not Role.INPUT]
    filters = [s for s in made if s.role is Role.FILTER]
    if not group.foldable or group.held or not filters or not _plain(group, constants):
        return Redundant((), ())
    constant = _zero(filters, group.size, constants)
    seen: dict[tuple[bytes, ...], int] = {}
    twins = []
    rows = [_rows_by_unit(s, group.size, constants) for s in made]
    for unit in np.flatnonzero(~constant).tolist():
        survivor = seen.setdefault(tuple(own[unit] for own in rows), unit)
        if survivor != unit:
            twins.append((survivor, unit))
    return Redundant(tuple(twins), tuple(np.flatnonzero(constant).tolist()))


def _plain(group: Group, constants: Constants) -> bool:
    """Whether all constants are floats of their own and no unit has two roles in one of them."""
    axes: dict[str, int] = defaultdict(int)
    for s in group.slices:
        axes[s.constant] += 1
    return all(constants[name].is_float for name in axes) and max(axes.values()) == 1


def _zero(filters: list[Slice], size: int, constants: Constants) -> Array:
    zero = np.ones(size, dtype=bool)
    for s in filters:
        silent = ~rows_first(constants[s.constant].values(), s.axis).any(axis=1)
        zero[np.unique(s.units[(s.units >= 0) & ~silent])] = False
    return zero


def _rows_by_unit(s: Slice, size: int, constants: Constants) -> list[bytes]:
    rows = rows_first(constants[s.constant].values(), s.axis)
    return [rows[s.units == unit].tobytes() for unit in range(size)]


def rows_first(values: Array, axis: int) -> Array:
    """The constant with one axis first and the others flattened, shape (length, rest)."""
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def kept_units(group: Group, gone: set[int]) -> Indices:
    """Ascending units that stay; the first one when none would."""
    kept = np.array([u for u in range(group.size) if u not in gone], dtype=np.int64)
    return kept if len(kept) else np.zeros(1, dtype=np.int64)
