"""What successive cuts have taken from a source, told in its own channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnxprune.coupling import Coupling
from onnxprune.coupling.coupling import Survivors
from onnxprune.coupling.groups import Indices
from onnxprune.errors import VerificationError
from onnxprune.model import Model
from onnxprune.surgery import Cut, Cuts
from onnxprune.surgery.compose import compose
from onnxprune.surgery.cut import cut_constants
from onnxprune.verification.masking import kept_by_use, kept_of, same

Left = Mapping[str, Mapping[int, Indices]]
"""By constant and axis, the indices of the source that are left, ascending; axes that keep all are absent."""


@dataclass(frozen=True, eq=False)
class Lineage:
    """A model that was cut out of a source.

    Attributes:
        source: its coupling.
        kept: units by group of the source; groups that keep all are not named.
        cuts: of the source, as if all had gone at once.
        survivors: the same on every axis.
        divided: constants of the source that no longer are one: readers that lost different parts have
            copies of their own.
    """

    source: Coupling
    kept: Mapping[str, Indices]
    cuts: Cuts
    survivors: Survivors
    divided: frozenset[str]

    def left(self) -> Left:
        """What is left of the constants that still are one."""
        return {
            name: {axis: np.flatnonzero(kept) for axis, kept in kept_of(axes).items()}
            for name, axes in self.cuts.items()
            if name not in self.divided
        }


def descend(source: Coupling, kept: Mapping[str, Indices]) -> Lineage:
    """What is left of a source of whose groups some units are kept.

    Args:
        source: its coupling.
        kept: ascending units by group; groups that are not named keep all.
    """
    survivors = source.survivors(kept)
    cuts = cut_constants(source, survivors).cuts
    return Lineage(source, kept, cuts, survivors, _divided(source, survivors))


def cut_further(before: Lineage, kept: Mapping[str, Indices], cut: Cut) -> Lineage:
    """The lineage after another cut, which is compared with what a single cut would have left.

    Args:
        before: of the model that was cut.
        kept: units by group of the source that are left now.
        cut: of the model, in terms of itself.

    Raises:
        VerificationError: the two cuts are not one cut of the source.
    """
    after = descend(before.source, kept)
    once = before.source.model.constants
    for name, axes in compose(before.cuts, cut.cuts).items():
        whole = name in once and name not in after.divided
        if whole and not same(kept_of(axes), kept_of(after.cuts.get(name, {}))):
            raise _astray(name)
    for name, axes in after.cuts.items():
        shape = list(once[name].shape)
        for axis, mask in kept_of(axes).items():
            shape[axis] = int(mask.sum())
        if name not in after.divided and _shape(cut.model, name) not in (None, tuple(shape)):
            raise _astray(name)
    return after


def _shape(model: Model, name: str) -> tuple[int, ...] | None:
    return tuple(model.constants[name].shape) if name in model.constants else None


def _divided(source: Coupling, survivors: Survivors) -> frozenset[str]:
    found: dict[str, Mapping[int, np.ndarray]] = {}
    divided = set()
    for use, kept in kept_by_use(source, survivors).items():
        if not same(found.setdefault(use.constant, kept), kept):
            divided.add(use.constant)
    return frozenset(divided)


def _astray(name: str) -> VerificationError:
    return VerificationError(
        f"The steps together cut {name!r} in a way that is no cut of the source.",
        hint="Please report this with the model; one step alone (--steps 1) is always told in its terms.",
    )
