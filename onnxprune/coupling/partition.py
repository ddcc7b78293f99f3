"""Sorts leaves into groups: born together, and running along the same axes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from onnxprune.coupling.labels import PINNED, Axis, Labels

FEW = 4
"""Parts of a birth with fewer units than this are one group, whatever axes they run along."""


def partition(labels: Labels, canonical: Axis, leaves: Axis, axes: Sequence[Axis]) -> list[Axis]:
    """Leaves of each group, in the order of their births.

    Leaves that were born together are filters of one layer. Where it is split (halves of a channel
    axis that go different ways) the parts are groups of their own: their scores are sums over
    different layers, so they cannot be ranked together, and each part should keep its share.

    Args:
        labels: the solved labels.
        canonical: canonical label of every label.
        leaves: the leaves to sort, ascending.
        axes: every axis of every constant.
    """
    kinds = _kinds(labels, canonical, axes)
    births: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    blocks = labels.blocks()[leaves]
    for leaf, block, kind in zip(leaves.tolist(), blocks.tolist(), kinds[leaves].tolist(), strict=True):
        births[block][kind].append(leaf)
    groups: list[list[int]] = []
    for parts in births.values():
        groups += [part for part in parts.values() if len(part) >= FEW]
        rest = sorted(leaf for part in parts.values() if len(part) < FEW for leaf in part)
        groups += [rest] if rest else []
    return [np.array(group, dtype=np.int64) for group in sorted(groups, key=lambda group: group[0])]


def _kinds(labels: Labels, canonical: Axis, axes: Sequence[Axis]) -> Axis:
    """A number for every label; equal ones are found equally often on the same axes."""
    kinds = np.zeros(len(labels), dtype=np.int64)
    numbers: dict[tuple[int, int, int], int] = {}
    distinct = {(own := canonical[axis]).tobytes(): own for axis in axes}
    for position, own in enumerate(distinct.values()):
        members = labels.member_table(own)
        found, counts = np.unique(members[members != PINNED], return_counts=True)
        steps = set(zip(kinds[found].tolist(), counts.tolist(), strict=True))
        new = {step: numbers.setdefault((position, *step), len(numbers) + 1) for step in sorted(steps)}
        kinds[found] = [new[step] for step in zip(kinds[found].tolist(), counts.tolist(), strict=True)]
    return kinds
