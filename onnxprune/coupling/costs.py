"""Compiles parameters, bytes and MACs into functions of the shares that groups keep."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from onnxprune.coupling.engine import Engine, Use
from onnxprune.coupling.groups import AxisSize, SizeModel, Term
from onnxprune.coupling.labels import PINNED, Axis
from onnxprune.model.constants import PACKED

if TYPE_CHECKING:
    from onnxprune.coupling.structure import UnitMap

WEIGHTS = frozenset({TensorProto.INT8, TensorProto.UINT8, *PACKED})
"""Integer element types of quantised weights; other integers are indices and shapes."""


class _Compiler:
    def __init__(self, units: UnitMap) -> None:
        self.units = units
        self.axes: list[AxisSize] = []
        self.positions: dict[bytes, int] = {}

    def term(self, factor: float, axes: list[Axis]) -> Term:
        """A term in which axes that stay whole are part of the factor."""
        positions = []
        for axis in axes:
            canonical = self.units.canonical[axis]
            if not canonical.any():
                factor *= len(axis)
                continue
            positions.append(self._position(canonical))
        return Term(factor, tuple(positions))

    def _position(self, canonical: Axis) -> int:
        key = canonical.tobytes()
        if key not in self.positions:
            self.positions[key] = len(self.axes)
            self.axes.append(AxisSize(self._parts(canonical)))
        return self.positions[key]

    def _parts(self, canonical: Axis) -> tuple[tuple[int, tuple[int, ...]], ...]:
        groups = self.units.group[canonical]
        alone = (groups >= 0) | (canonical == PINNED)
        if alone.all():  # no products, the usual case
            counts = np.bincount(groups + 1)
            return tuple((int(counts[k]), (k - 1,) if k else ()) for k in np.flatnonzero(counts).tolist())
        labels, times = np.unique(canonical, return_counts=True)
        groups = np.sort(self.units.group[self.units.labels.member_table(labels)], axis=1)
        kinds, inverse = np.unique(groups, axis=0, return_inverse=True)
        counts = np.bincount(inverse.reshape(-1), weights=times)
        return tuple(
            (int(n), tuple(dict.fromkeys(g for g in kind if g >= 0)))
            for n, kind in zip(counts, kinds.tolist(), strict=True)
        )


def build_sizes(engine: Engine, units: UnitMap) -> SizeModel:
    """The cost model of a visited graph; MACs are those of one sample where the batch is symbolic."""
    compiler = _Compiler(units)
    batch = engine.traces.first.freeze.batch
    macs = []
    for factor, axes in engine.costs:
        term = compiler.term(factor, list(axes))
        # the batch may be folded into any of the axes; being a prime, it shows in the product
        batched = batch > 1 and (factor * prod(len(axis) for axis in axes)) % batch == 0
        macs.append(Term(term.factor / batch if batched else term.factor, term.axes))
    first_use: dict[str, Use] = {}
    for use in engine.uses:
        first_use.setdefault(use.constant, use)
    params, sizes = [], []
    for name, constant in engine.model.constants.items():
        if name in first_use:
            term = compiler.term(1.0, engine.uses[first_use[name]])
        else:
            term = Term(float(constant.size), ())
        sizes.append(Term(term.factor * constant.itemsize, term.axes))
        if constant.is_float or constant.data_type in WEIGHTS:
            params.append(term)
    return SizeModel(tuple(compiler.axes), tuple(macs), tuple(params), tuple(sizes))
