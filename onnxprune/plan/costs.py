"""A size model compiled into arrays, so that many plans can be priced in little time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.groups import Floats, Indices, SizeModel, Structure, Term
from onnxprune.plan.targets import Metric

Table = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reach:
    """Which axes and terms change with each group's share.

    Attributes:
        row_part: (rows,) a part ...
        row_group: (rows,) ... and a group that it depends on ...
        row_power: (rows,) ... so many times.
        row_pair: (rows,) the (group, axis) pair that the row belongs to.
        pairs: number of (group, axis) pairs; one more stands for "unchanged".
        term: (hits,) a term ...
        group: (hits,) ... and a group that it depends on.
        slots: (hits, width) for each factor of the term the pair that changes it.
    """

    row_part: Indices
    row_group: Indices
    row_power: Indices
    row_pair: Indices
    pairs: int
    term: Indices
    group: Indices
    slots: Table


@dataclass(frozen=True, eq=False)
class Costs:
    """One metric as a function of the kept shares; the fast twin of ``SizeModel.totals``.

    Axis lengths are ``sum over parts of count * prod(share of the part's groups)``, a term is
    ``factor * prod(its axis lengths)``; ragged lists are padded with a share and an axis of 1.

    Attributes:
        groups: number of groups.
        axes: number of axes.
        part_axis: (parts,)
        part_count: (parts,)
        part_groups: (parts, width), ``groups`` pads.
        factors: (terms,)
        term_axes: (terms, width), ``axes`` pads.
        fixed: what does not depend on any group.
    """

    groups: int
    axes: int
    part_axis: Indices
    part_count: Floats
    part_groups: Table
    factors: Floats
    term_axes: Table
    fixed: float

    def totals(self, shares: Floats) -> Floats:
        """The metric, shape (plans,), for kept shares of shape (plans, groups)."""
        padded = np.append(shares, np.ones((len(shares), 1)), axis=1)
        parts = self.part_count * np.prod(padded[:, self.part_groups], axis=2)
        # one row of axes a plan, laid end to end so that one bincount adds the parts of all plans
        place = np.arange(len(shares))[:, None] * self.axes + self.part_axis
        flat = np.bincount(place.ravel(), weights=parts.ravel(), minlength=len(shares) * self.axes)
        lengths = np.append(flat.reshape(len(shares), self.axes), np.ones((len(shares), 1)), axis=1)
        products: Floats = np.prod(lengths[:, self.term_axes], axis=2)
        return products @ self.factors + self.fixed

    def total(self, shares: Floats) -> float:
        """The metric for kept shares of shape (groups,)."""
        return float(self.totals(shares[None, :])[0])

    def changes(self, shares: Floats, scaled: Floats) -> Floats:
        """By how much the metric changes when one group alone changes its share.

        Args:
            shares: (groups,) kept now.
            scaled: (groups,) what each group's share would be multiplied by.

        Returns:
            (groups,), exact, each group taken on its own.
        """
        reach = self._reach
        parts = self._parts(shares)
        lengths = self._lengths(parts)
        moved = parts[reach.row_part] * (scaled[reach.row_group] ** reach.row_power - 1.0)
        by_pair = np.append(np.bincount(reach.row_pair, weights=moved, minlength=reach.pairs), 0.0)
        old = lengths[self.term_axes[reach.term]]
        after = np.prod(old + by_pair[reach.slots], axis=1) - np.prod(old, axis=1)
        weights = self.factors[reach.term] * after
        return np.asarray(np.bincount(reach.group, weights=weights, minlength=self.groups), np.float64)

    def _parts(self, shares: Floats) -> Floats:
        padded = np.append(shares, 1.0)
        kept: Floats = self.part_count * np.prod(padded[self.part_groups], axis=1)
        return kept

    def _lengths(self, parts: Floats) -> Floats:
        lengths = np.bincount(self.part_axis, weights=parts, minlength=self.axes)
        return np.append(lengths, 1.0)

    @cached_property
    def _reach(self) -> Reach:
        rows = [
            (part, group, power)
            for part, members in enumerate(self.part_groups.tolist())
            for group, power in Counter(members).items()
            if group < self.groups
        ]
        pair_of: dict[tuple[int, int], int] = {}
        row_pair = [pair_of.setdefault((g, int(self.part_axis[p])), len(pair_of)) for p, g, _ in rows]
        on_axis: dict[int, set[int]] = {}
        for group, axis in pair_of:
            on_axis.setdefault(axis, set()).add(group)
        hits = [
            (term, group, [pair_of.get((group, axis), len(pair_of)) for axis in axes])
            for term, axes in enumerate(self.term_axes.tolist())
            for group in sorted(set().union(*(on_axis.get(axis, ()) for axis in axes)))
        ]
        return Reach(
            row_part=_column([r[0] for r in rows]),
            row_group=_column([r[1] for r in rows]),
            row_power=_column([r[2] for r in rows]),
            row_pair=_column(row_pair),
            pairs=len(pair_of),
            term=_column([h[0] for h in hits]),
            group=_column([h[1] for h in hits]),
            slots=np.array([h[2] for h in hits], dtype=np.int64).reshape(len(hits), self.term_axes.shape[1]),
        )


def compile_costs(structure: Structure, metric: Metric, *, fixed: float = 0.0) -> Costs:
    """The metric of a structure's size model as arrays.

    Args:
        structure: groups and size model.
        metric: which of its figures.
        fixed: added to every total (bytes of a file that are no constants).
    """
    sizes = structure.sizes
    factors, constant = _merged(sizes, getattr(sizes, metric))
    groups, axes = len(structure.groups), len(sizes.axes)
    parts = [(a, count, members) for a, axis in enumerate(sizes.axes) for count, members in axis.parts]
    return Costs(
        groups=groups,
        axes=axes,
        part_axis=_column([p[0] for p in parts]),
        part_count=np.array([p[1] for p in parts], dtype=np.float64),
        part_groups=_padded([p[2] for p in parts], groups),
        factors=np.array(list(factors.values()), dtype=np.float64),
        term_axes=_padded(list(factors), axes),
        fixed=fixed + constant,
    )


def _merged(sizes: SizeModel, terms: tuple[Term, ...]) -> tuple[Mapping[tuple[int, ...], float], float]:
    """Factors by axes, terms over the same axes added up, and the sum of those that never change."""
    lengths = [sum(count for count, _ in axis.parts) for axis in sizes.axes]
    moves = [any(members for _, members in axis.parts) for axis in sizes.axes]
    factors: dict[tuple[int, ...], float] = {}
    constant = 0.0
    for term in terms:
        factor = term.factor
        for axis in term.axes:
            factor *= 1 if moves[axis] else lengths[axis]
        moving = tuple(sorted(axis for axis in term.axes if moves[axis]))
        if moving:
            factors[moving] = factors.get(moving, 0.0) + factor
        else:
            constant += factor
    return factors, constant


def _column(values: list[int]) -> Indices:
    return np.array(values, dtype=np.int64)


def _padded(rows: list[tuple[int, ...]], pad: int) -> Table:
    """Rows of different lengths as one table, at least one column wide."""
    width = max((len(row) for row in rows), default=0) or 1
    return np.array([(*row, *(pad,) * (width - len(row))) for row in rows], dtype=np.int64).reshape(-1, width)
