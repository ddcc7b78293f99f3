"""The lossless clean-up: dead, constant and duplicate channels go, the outputs stay.

A unit whose filters are all zero computes a constant; the constant is moved into the bias of its
readers. A unit that equals another to the last bit is merged: its readers' weights are added to
those of the survivor. Removing either then changes nothing but rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import onnx

from onnxprune.coupling import Coupling, Group, couple
from onnxprune.coupling.groups import Indices, Role
from onnxprune.model.constants import Array, Constant
from onnxprune.model.model import Model
from onnxprune.repair.duplicates import find_redundant, kept_units
from onnxprune.repair.fold import Reader, add_bias, bias_change, merge_twins, readers
from onnxprune.repair.probe import probe
from onnxprune.surgery import Cut, apply
from onnxprune.surgery.cut import cut_constants

ROUNDS = 8
"""What one round removes can make more channels constant or equal in the next."""


def clean_up(coupling: Coupling) -> Cut:
    """Remove every channel that the model computes the same without.

    Returns:
        The cleaned model and, in terms of the source, what went. Unlike after a plain cut, the
        weights that read a removed channel may have changed.
    """
    kept: dict[str, Indices] = {}
    current = coupling
    for _ in range(ROUNDS):
        folded, gone = _fold(current)
        if not gone:
            break
        again = couple(folded)
        groups = again.structure.by_name()
        step = {name: kept_units(groups[name], units) for name, units in gone.items() if name in groups}
        current = couple(apply(again, step).model)
        for name, units in step.items():
            kept[name] = kept[name][units] if name in kept else units
    survivors = coupling.survivors(kept)
    return Cut(current.model, cut_constants(coupling, survivors).cuts, survivors)


def _fold(coupling: Coupling) -> tuple[Model, dict[str, set[int]]]:
    """The same model with redundant units cut off from their readers, and those units by group."""
    redundant = {g.name: find_redundant(g, coupling.model.constants) for g in coupling.structure.groups}
    candidates = [
        g for g in coupling.structure.groups if redundant[g.name].constant or redundant[g.name].twins
    ]
    work = _Work(coupling)
    levels = work.levels([g for g in candidates if redundant[g.name].constant])
    gone: dict[str, set[int]] = {}
    for group in candidates:
        found = redundant[group.name]
        own = readers(group, coupling.engine)
        if own is None or not own:
            continue
        dead = [u for u in found.constant if work.absorb(own, u, levels)]
        if len(dead) + len(found.twins) >= group.size:
            dead = dead[1:]
        merge_twins(group, found.twins, work.weights)
        lost = {*dead, *(duplicate for _, duplicate in found.twins)}
        work.silence(group, lost)
        if lost:
            gone[group.name] = lost
    return work.model(), gone


class _Work:
    """Weights, biases and graph of one round, edited apart from the source."""

    def __init__(self, coupling: Coupling) -> None:
        self.coupling = coupling
        self.proto = onnx.ModelProto()
        self.proto.CopyFrom(coupling.model.proto)
        self.weights: dict[str, Array] = _Copies(coupling.model)
        self.biases: dict[str, Constant] = {}

    def levels(self, groups: list[Group]) -> Mapping[str, Array]:
        """What the values that readers of these groups take in hold for one random input."""
        every = [readers(g, self.coupling.engine) or [] for g in groups]
        return probe(self.coupling, {r.value for own in every for r in own})

    def absorb(self, own: list[Reader], unit: int, levels: Mapping[str, Array]) -> bool:
        """Move the constant that a unit computes into the bias of all its readers, or of none."""
        changes = []
        for reader in own:
            level = _level(reader, unit, levels)
            if level is None:
                return False
            if level.any():
                if not reader.sees_all:
                    return False
                changes.append((reader, bias_change(reader, level, self.weights)))
        constants = self.coupling.model.constants.with_changes(self.biases)
        updates = [add_bias(self.proto, constants, reader, change) for reader, change in changes]
        if any(update is None for update in updates):
            return False
        for update in updates:
            self.biases.update(update or {})
        return True

    def silence(self, group: Group, units: Iterable[int]) -> None:
        """Zero the weights that read units which are about to go."""
        lost = np.array(sorted(units), dtype=np.int64)
        for s in group.slices:
            if s.role is Role.INPUT:
                np.moveaxis(self.weights[s.constant], s.axis, 0)[np.isin(s.units, lost)] = 0

    def model(self) -> Model:
        source = self.coupling.model
        changed = {name: source.constants[name].replaced(values) for name, values in self.weights.items()}
        constants = source.constants.with_changes({**changed, **self.biases})
        return replace(source, proto=self.proto, constants=constants)


class _Copies(dict[str, Array]):
    """Writable copies of constants, made when first asked for."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.source = model

    def __missing__(self, name: str) -> Array:
        self[name] = np.array(self.source.constants[name].values())
        return self[name]


def _level(reader: Reader, unit: int, levels: Mapping[str, Array]) -> Array | None:
    """The constant at each contracted index of a unit, None where it is not constant after all."""
    value = levels.get(reader.value)
    if value is None:
        return None
    rows = np.moveaxis(value, reader.channel_axis, 0).reshape(value.shape[reader.channel_axis], -1)
    if len(rows) != len(reader.weight.units):
        # grouped: each index stands for one channel of every group, so only silence can be told
        return None if rows.any() else np.zeros(len(reader.weight.units))
    own = reader.weight.units == unit
    if (rows[own] != rows[own][:, :1]).any():
        return None
    return np.where(own, rows[:, 0], 0.0)
