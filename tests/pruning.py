"""Prunes a model at random through the pieces of the package: coupling, then surgery."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from onnxprune.coupling import couple
from onnxprune.coupling.groups import Structure
from onnxprune.model import load_model
from onnxprune.surgery import apply


@dataclass(frozen=True)
class Pruned:
    """What pruning at random gave."""

    proto: onnx.ModelProto
    cuts: dict[str, dict[str, dict]]
    structure: Structure
    kept: dict[str, np.ndarray]

    def reason(self, weight: str) -> str:
        """Why the layer that reads this weight cannot be cut; empty when it can."""
        return next(
            (layer.reason for layer in self.structure.layers if layer.weight == weight), "no such layer"
        )


def prune_randomly(model: onnx.ModelProto, ratio: float, seed: int, share: float = 1.0) -> Pruned:
    """Keeps ``max(1, floor(n (1 - ratio)))`` random units of every group that is not held.

    Args:
        model: left as it is (asserted).
        ratio: share of the units that go.
        seed: chooses groups and units.
        share: probability that a group takes part.
    """
    before = model.SerializeToString()
    coupling = couple(load_model(model))
    kept = choose(coupling.structure, ratio, seed, share)
    cut = apply(coupling, kept)
    proto = cut.model.to_proto()
    assert model.SerializeToString() == before, "the caller's model was changed"
    return Pruned(proto, cut.cuts, coupling.structure, kept)


def choose(structure: Structure, ratio: float, seed: int, share: float = 1.0) -> dict[str, np.ndarray]:
    """Random ascending kept units by group name; guards keep at least one of their members."""
    rng, kept = np.random.default_rng(seed), {}
    for group in structure.groups:
        count = max(1, int(np.floor(group.size * (1 - ratio) + 1e-9)))
        if not group.held and count < group.size and rng.random() < share:
            kept[group.name] = set(rng.choice(group.size, count, replace=False).tolist())
    for guard in structure.guards:
        if all(name in kept and unit not in kept[name] for name, unit in guard.members):
            name, unit = guard.members[int(rng.integers(len(guard.members)))]
            kept[name].add(unit)
    return {name: np.array(sorted(units), np.int64) for name, units in kept.items()}
