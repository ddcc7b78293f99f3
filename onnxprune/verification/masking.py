"""Masks the constants of a source model: what was removed is made neutral, where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

from onnxprune.coupling.coupling import Coupling, Survivors
from onnxprune.coupling.engine import Use
from onnxprune.execution.program import Program, first_readers, is_fed, program_of
from onnxprune.model.constants import Array, Constant
from onnxprune.model.stream import raw_bytes
from onnxprune.surgery import Cuts
from onnxprune.verification.neutral import neutral_values

Kept = Mapping[int, npt.NDArray[np.bool_]]
"""By axis, for each index whether it is kept; axes that keep all are absent."""

COPIED_BYTES = 256 << 20
"""So much of the weights that are mapped from a file is masked by a copy, which is quickest; the rest
inside the graph, which takes no memory beyond the largest weight."""

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_ZERO = np.zeros(1, np.float32)


@dataclass(frozen=True)
class Mask:
    """What is left of a constant, and what the rest of it is set to.

    Attributes:
        kept: by axis.
        neutral: broadcasts to the constant's shape.
    """

    kept: Kept
    neutral: Array

    def apply(self, constant: Constant) -> Constant:
        """The constant with what was removed set to neutral, in the same shape."""
        dtype = helper.tensor_dtype_to_np_dtype(constant.data_type)
        values = np.frombuffer(raw_bytes(constant), dtype).reshape(constant.shape).copy()
        neutral = np.broadcast_to(self.neutral, values.shape)
        for axis, kept in self.kept.items():
            where = (slice(None),) * axis + (~kept,)
            values[where] = neutral[where]
        return constant.replaced(values)


def masked_program(coupling: Coupling, cuts: Cuts, survivors: Survivors) -> Program:
    """The source with every slice that ``cuts`` removes made neutral.

    A vector that several layers read is masked for each of them as that layer lost it. This may be
    more than the cuts say, which state what all of them lost.
    """
    model = coupling.model
    neutral = neutral_values(model)
    masks = {name: Mask(kept_of(axes), neutral.get(name, _ZERO)) for name, axes in cuts.items()}
    inside = _too_large_to_copy(model.constants, masks) if model.external else []
    copies = {name: masks[name].apply(model.constants[name]) for name in masks.keys() - set(inside)}
    program = program_of(replace(model, constants=model.constants.with_changes(copies)))
    readers = first_readers(program.proto.graph)
    for name in inside:
        _mask_inside(program, name, masks[name].kept, readers[name])
    for use, kept in kept_by_use(coupling, survivors).items():
        if use.node < 0 or (same(kept, masks[use.constant].kept) if use.constant in masks else not kept):
            continue
        own = Mask(kept, neutral.get(use.constant, _ZERO)).apply(model.constants[use.constant])
        name = program.fresh(f"{use.constant}/{use.node}")
        program.feed(name, own)
        program.proto.graph.node[use.node].input[use.position] = name
    return program


def kept_of(axes: Mapping[str, Mapping[str, Any]]) -> Kept:
    """Masks by axis of one constant's cuts."""
    found = {}
    for axis, cut in axes.items():
        mask = np.zeros(cut["size"], dtype=np.bool_)
        mask[cut["kept"]] = True
        found[int(axis)] = mask
    return found


def same(left: Kept, right: Kept) -> bool:
    """Whether both keep the same indices."""
    return left.keys() == right.keys() and all(np.array_equal(left[axis], right[axis]) for axis in left)


def kept_by_use(coupling: Coupling, survivors: Survivors) -> Mapping[Use, Kept]:
    """What each use of a constant keeps."""
    found: dict[Use, Kept] = {}
    for use, axes in coupling.engine.uses.items():
        masks = {axis: survivors.mask(labels) for axis, labels in enumerate(axes)}
        found[use] = {axis: mask for axis, mask in masks.items() if not mask.all()}
    return found


def disagreement(coupling: Coupling, cuts: Cuts, survivors: Survivors) -> str:
    """A constant of which the cuts say something else than what all its uses lost; empty if there is none."""
    common: dict[str, Kept] = {}
    for use, kept in kept_by_use(coupling, survivors).items():
        known = common.get(use.constant, kept)
        both = {axis: known[axis] | kept[axis] for axis in known.keys() & kept.keys()}
        common[use.constant] = {axis: mask for axis, mask in both.items() if not mask.all()}
    for name in [*common, *cuts]:
        if not same(common.get(name, {}), kept_of(cuts.get(name, {}))):
            return name
    return ""


def _too_large_to_copy(constants: Mapping[str, Constant], masks: Mapping[str, Mask]) -> list[str]:
    found = []
    copied = 0.0
    for name, mask in masks.items():
        constant = constants[name]
        copied += constant.size * constant.itemsize
        multiplies = constant.data_type in _FLOATS and not mask.neutral.any()
        if copied > COPIED_BYTES and multiplies and is_fed(constant):
            found.append(name)
    return found


def _mask_inside(program: Program, name: str, kept: Kept, reader: int) -> None:
    """Feed the weight as it is, and multiply it by ones and zeros just before it is read first."""
    constant = program.weights[name]
    value = program.renamed(name, f"{name}/source")
    dtype = helper.tensor_dtype_to_np_dtype(constant.data_type)
    nodes = program.before.setdefault(reader, [])
    last = max(kept)
    for axis, mask in sorted(kept.items()):
        shape = [1] * len(constant.shape)
        shape[axis] = len(mask)
        factor = program.hold(f"{name}/kept{axis}", mask.astype(dtype).reshape(shape))
        result = name if axis == last else program.fresh(f"{name}/masked{axis}")
        nodes.append(program.node("Mul", [value, factor], result))
        value = result
