"""Checks a pruned file with nothing but its source and the cuts of its report."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from onnxprune.coupling import couple
from onnxprune.coupling.coupling import Coupling
from onnxprune.coupling.groups import Indices, Slice
from onnxprune.errors import InputError, VerificationError
from onnxprune.model.constants import Array, Constant
from onnxprune.model.model import Model
from onnxprune.surgery import Cut, Cuts
from onnxprune.verification.equivalence import masked_equivalence
from onnxprune.verification.masking import disagreement, kept_of
from onnxprune.verification.verification import Verification

_ANOTHER = "Give the source, the pruned model and the report of one and the same run."


def recheck(
    source: Model,
    pruned: Model,
    cuts: Cuts,
    *,
    exact: bool = True,
    seed: int = 0,
    threads: int | None = None,
) -> Verification:
    """Verify a pruned model as it lies on disk: its interface, its constants, and what it computes.

    The source is coupled anew; that the cuts fit together is part of the check.

    Args:
        source: the model before pruning.
        pruned: the model after it.
        cuts: as in the report.
        exact: the values were cut and not changed otherwise (no repair, no flushing of tiny weights), so
            that every constant must equal the kept slices of the source bit for bit; otherwise it only
            has to have their shape.
        seed: of the random inputs.
        threads: of ONNX Runtime; None leaves the choice to it.

    Raises:
        InputError: the cuts are not those of this source, or ONNX Runtime does not run it.
        VerificationError: the cuts contradict each other, a constant or the interface is not what it
            should be, or ONNX Runtime does not run the pruned model.
    """
    check_cuts(source, cuts)
    _check_interface(source, pruned)
    coupling = couple(source)
    survivors = coupling.survivors(kept_units(coupling, cuts))
    name = disagreement(coupling, cuts, survivors)
    if name:
        raise VerificationError(
            f"The cuts of {name!r} do not fit those of the tensors that it is coupled to.", hint=_ANOTHER
        )
    if exact or cuts:  # what a clean-up leaves has shapes of its own, and is compared with the source itself
        _check_values(source, pruned, cuts, exact=exact)
    return masked_equivalence(source, Cut(pruned, cuts, survivors), coupling, seed=seed, threads=threads)


def check_cuts(source: Model, cuts: Mapping[str, Any]) -> None:
    """Refuse cuts that are not written as the report contract says, or that are of another model.

    Raises:
        InputError: naming the tensor.
    """
    for name, axes in cuts.items():
        if name not in source.constants:
            raise InputError(f"The report cuts {name!r}, which the source does not hold.", hint=_ANOTHER)
        shape = source.constants[name].shape
        for axis, cut in axes.items() if isinstance(axes, Mapping) else [("", axes)]:
            fault = _fault(axis, cut, shape)
            if fault:
                raise InputError(f"The report's cut of {name!r} along axis {axis}: {fault}.", hint=_ANOTHER)


def _fault(axis: str, cut: Any, shape: tuple[int, ...]) -> str:
    if not (axis.isdecimal() and int(axis) < len(shape)):
        return f"the tensor has the shape {list(shape)}"
    if not (isinstance(cut, Mapping) and isinstance(cut.get("kept"), list)):
        return 'it does not have the form {"size": n, "kept": [...]}'
    if cut.get("size") != shape[int(axis)]:
        return f"it says size {cut.get('size')}, the source has {shape[int(axis)]}"
    kept = cut["kept"]
    if not kept or not all(isinstance(i, int) and 0 <= i < shape[int(axis)] for i in kept):
        return "it keeps nothing, or indices that do not exist"
    return "" if all(a < b for a, b in pairwise(kept)) else "the kept indices do not ascend"


def kept_units(coupling: Coupling, cuts: Cuts) -> dict[str, Indices]:
    """The choice of units that explains the cuts: a unit is gone where all of its indices of an axis are."""
    found: dict[str, Indices] = {}
    for group in coupling.structure.groups:
        gone = np.zeros(group.size, dtype=bool)
        for part in group.slices:
            kept = kept_of(cuts.get(part.constant, {})).get(part.axis)
            if kept is not None:
                gone |= _units_gone(part, kept, group.size)
        if gone.any():
            found[group.name] = np.flatnonzero(~gone)
    return found


def _units_gone(part: Slice, kept: Array, size: int) -> Array:
    """Units of which no index is left, shape (size,)."""
    units = part.units[part.units >= 0]
    left = np.bincount(units, weights=kept[part.units >= 0], minlength=size)
    return np.asarray((left == 0) & (np.bincount(units, minlength=size) > 0))


def _check_interface(source: Model, pruned: Model) -> None:
    for kind in ("input", "output"):
        before, after = (_names(model, kind) for model in (source, pruned))
        if before != after:
            raise VerificationError(f"The {kind}s {before} became {after}.", hint=_ANOTHER)


def _names(model: Model, kind: str) -> list[str]:
    return [value.name for value in getattr(model.proto.graph, kind) if value.name not in model.constants]


def _check_values(source: Model, pruned: Model, cuts: Cuts, *, exact: bool) -> None:
    """Constants that kept their name hold the kept slices of the source, or at least have their shape.

    Integers that were not cut may differ: shape operands are written anew.
    """
    for name, constant in pruned.constants.items():
        before = source.constants.get(name)
        if before is None or not before.can_be_cut or (name not in cuts and not before.is_float):
            continue
        if not _equals_kept(before, constant, cuts.get(name, {}), exact=exact):
            raise VerificationError(
                f"Constant {name!r} of the pruned model is not what the cuts leave of the source's.",
                hint="Values that a repair changed can only be compared in what they compute.",
            )


def _equals_kept(
    before: Constant, after: Constant, axes: Mapping[str, Mapping[str, Any]], *, exact: bool
) -> bool:
    shape = list(before.shape)
    for axis, cut in axes.items():
        shape[int(axis)] = len(cut["kept"])
    if tuple(shape) != tuple(after.shape) or before.data_type != after.data_type:
        return False
    if not exact:
        return True
    values = before.values()
    for axis, cut in axes.items():
        values = np.take(values, cut["kept"], int(axis))
    return bool(np.array_equal(_bits(values), _bits(after.values())))


def _bits(values: Array) -> Array:
    """The bytes of an array, so that NaN equals itself and -0 does not equal 0."""
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)
