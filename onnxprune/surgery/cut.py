"""Cuts the constants: every one is sliced once, at the end."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from onnxprune.coupling.coupling import Coupling, Survivors
from onnxprune.coupling.engine import Use
from onnxprune.coupling.groups import Indices
from onnxprune.model.constants import Array, Constant
from onnxprune.model.names import fresh_name, names_of

Kept = tuple[Indices | None, ...]
"""For each axis the indices that are kept, ascending, or None where all are."""

AxisCut = dict[str, int | list[int]]
Cuts = dict[str, dict[str, AxisCut]]
"""Constant name to axis to ``{"size": n, "kept": [...]}``, as in the report."""


@dataclass(frozen=True)
class CutConstants:
    """The constants of the pruned model.

    Attributes:
        changed: constants that were sliced, under their old or a new name.
        renamed: (constant, node, input position) of the readers that now read a copy of their own,
            with its name.
        added: names of those copies.
        cuts: the report's account, in terms of the source file.
        split: names of constants whose readers were cut differently.
    """

    changed: dict[str, Constant]
    renamed: dict[Use, str]
    added: tuple[str, ...]
    cuts: Cuts
    split: tuple[str, ...]


def cut_constants(coupling: Coupling, survivors: Survivors) -> CutConstants:
    """Slice every constant that lost indices.

    A vector that several layers read is cut in place when all lose the same indices. Otherwise each
    kind of cut gets a copy of its own, and the report states what all of them lost.
    """
    by_constant: dict[str, list[Use]] = defaultdict(list)
    for use in coupling.engine.uses:
        by_constant[use.constant].append(use)
    changed: dict[str, Constant] = {}
    renamed: dict[Use, str] = {}
    added: list[str] = []
    cuts: Cuts = {}
    split: list[str] = []
    taken = names_of(coupling.model.proto.graph)
    for name, uses in by_constant.items():
        source = coupling.model.constants[name]
        kinds: dict[tuple[bytes | None, ...], list[Use]] = defaultdict(list)
        kept = {use: _kept(coupling, survivors, use) for use in uses}
        for use in uses:
            kinds[tuple(None if k is None else k.tobytes() for k in kept[use])].append(use)
        shared = _common(source, [kept[use] for use in uses])
        if any(k is not None for k in shared):
            cuts[name] = _account(source, shared)
        if len(kinds) == 1:
            if any(k is not None for k in kept[uses[0]]):
                changed[name] = source.replaced(_take(source.values(), kept[uses[0]]))
            continue
        split.append(name)
        for own in kinds.values():
            if all(k is None for k in kept[own[0]]):
                continue
            copy = fresh_name(f"{name}.{own[0].node}", taken)
            taken.add(copy)
            values = _take(source.values(), kept[own[0]])
            changed[copy] = Constant(copy, values.shape, source.data_type, lambda values=values: values)  # type: ignore[misc]
            added.append(copy)
            renamed.update(dict.fromkeys(own, copy))
    return CutConstants(changed, renamed, tuple(added), cuts, tuple(split))


def _kept(coupling: Coupling, survivors: Survivors, use: Use) -> Kept:
    found: list[Indices | None] = []
    for axis in coupling.engine.uses[use]:
        mask = survivors.mask(axis)
        found.append(None if mask.all() else np.flatnonzero(mask))
    return tuple(found)


def _take(values: Array, kept: Kept) -> Array:
    for k, indices in enumerate(kept):
        if indices is not None:
            values = np.take(values, indices, axis=k)
    return values


def _common(source: Constant, all_kept: list[Kept]) -> Kept:
    """What every reader lost: the union of what is kept."""
    if len(all_kept) == 1:
        return all_kept[0]
    found: list[Indices | None] = []
    for k in range(len(source.shape)):
        own = [kept[k] for kept in all_kept]
        if any(indices is None for indices in own):
            found.append(None)
            continue
        union = np.unique(np.concatenate([indices for indices in own if indices is not None]))
        found.append(None if len(union) == source.shape[k] else union)
    return tuple(found)


def _account(source: Constant, kept: Kept) -> dict[str, AxisCut]:
    return {
        str(k): {"size": source.shape[k], "kept": indices.tolist()}
        for k, indices in enumerate(kept)
        if indices is not None
    }
