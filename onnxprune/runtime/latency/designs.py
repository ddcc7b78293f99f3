"""The widths at which layer times are measured: whole models, cut so that every layer meets many widths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnxprune.coupling import Coupling, Group
from onnxprune.coupling.groups import Floats, Indices
from onnxprune.model import Model, save_model
from onnxprune.model.save import LARGEST_SINGLE_FILE
from onnxprune.plan.align import admissible_counts
from onnxprune.plan.allocate import FLOOR
from onnxprune.plan.select import choose_units
from onnxprune.surgery import apply

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it modulo 1 spread evenly however many are taken."""


@dataclass(frozen=True, eq=False)
class Design:
    """One way to cut the model.

    Attributes:
        kept: group -> kept positions.
        shares: (groups,) share of its units that each group keeps.
    """

    kept: Mapping[str, Indices]
    shares: Floats


def fast_counts(group: Group, grid: int, *, floor: float = FLOOR) -> Indices:
    """Counts of a group on the grid, none below a share of its size unless it is the only one.

    Args:
        group: to count units of.
        grid: of channels.
        floor: least share of its units.
    """
    counts = admissible_counts(group, grid)
    enough = counts[counts >= floor * group.size]
    return enough if len(enough) else counts[-1:]


def draw_designs(coupling: Coupling, grid: int, number: int, *, seed: int) -> Iterator[Design]:
    """The whole model, the smallest, and a Latin hypercube between them.

    In the hypercube (McKay et al. 1979) every group meets evenly spaced widths, in an order of its own, so
    that the widths of two neighbours are independent and few designs tell their product apart from
    their sum.

    Args:
        coupling: of the model.
        grid: of channels.
        number: of designs in all, at least 3.
        seed: of the orders.
    """
    groups = [group for group in coupling.structure.groups if not group.held]
    choices = {group.name: fast_counts(group, grid) for group in groups}
    generator = np.random.default_rng(seed)
    between = number - 2
    orders = {group.name: generator.permutation(between) for group in groups}
    yield _design(coupling, {})
    yield _design(coupling, {name: int(counts[0]) for name, counts in choices.items()})
    for row in range(between):
        levels = {name: (order[row] + 0.5) / between for name, order in orders.items()}
        yield _design(coupling, {n: int(c[int(levels[n] * len(c))]) for n, c in choices.items()})


def _design(coupling: Coupling, counts: Mapping[str, int]) -> Design:
    groups = coupling.structure.groups
    even = {group.name: np.arange(1, group.size + 1, dtype=np.float64) * GOLDEN % 1 for group in groups}
    kept = choose_units(coupling.structure, even, counts)
    shares = [len(kept[group.name]) / group.size if group.name in kept else 1.0 for group in groups]
    return Design(kept, np.array(shares))


def runnable(coupling: Coupling, kept: Mapping[str, Indices], folder: Path) -> Path | bytes:
    """The cut model as ONNX Runtime takes it: in memory, or in a file where it is large.

    Args:
        coupling: of the model.
        kept: group -> kept positions; empty for the source.
        folder: for the file, which replaces the one before.
    """
    model: Model = apply(coupling, kept).model if kept else coupling.model
    size = sum(constant.size * constant.itemsize for constant in model.constants.values())
    if size < LARGEST_SINGLE_FILE:
        return bytes(model.to_proto().SerializeToString())
    path = folder / "cut.onnx"
    save_model(model, path)
    return path
