"""How long each layer of a model takes on this machine, as a function of the channels that are kept."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from onnxprune.coupling import Coupling, Structure
from onnxprune.coupling.groups import Floats, Indices
from onnxprune.execution.execution import Refusal
from onnxprune.plan.costs import Costs, compile_costs
from onnxprune.runtime.feeds import Feed
from onnxprune.runtime.latency.cache import Store
from onnxprune.runtime.latency.designs import draw_designs, runnable
from onnxprune.runtime.latency.fit import Fit, NodeTime, Observations, fit
from onnxprune.runtime.profile import Profile, record
from onnxprune.runtime.turns import Advance

DESIGNS = 20
FEWEST = 10
"""Designs without which there is no table."""

RUNS = (5, 12)
"""Fewest and most of each design; nodes are timed singly, so that few undisturbed runs suffice."""

SECONDS = 0.5
"""That the runs of a design may take, where the fewest take less."""


@dataclass(frozen=True, eq=False)
class LayerTable:
    """Times of the nodes of one model on one machine.

    Attributes:
        structure: of the model.
        grid: channels in one block.
        fit: the nodes' times.
        designs: at how many widths they were measured.
        cached: whether they come from an earlier run.
    """

    structure: Structure
    grid: int
    fit: Fit
    designs: int
    cached: bool = False

    def seconds(self, counts: Indices) -> Floats:
        """Predicted time (plans,) of plans of kept counts, (plans, groups)."""
        sizes = np.array([group.size for group in self.structure.groups])
        lengths = self._lengths.at(counts / sizes)
        own = np.full(len(counts), self._constant)
        for seconds, axes in self._terms:
            own += seconds * lengths[:, axes].prod(axis=1)
        constant, share = self.fit.rest
        return own * (1.0 + share) + constant

    @cached_property
    def _constant(self) -> float:
        return sum(c for node in self.fit.nodes for c, axes in node.terms if not axes)

    @cached_property
    def _terms(self) -> list[tuple[float, list[int]]]:
        """Terms of all nodes over the same axes, added up."""
        merged: dict[tuple[int, ...], float] = {}
        for node in self.fit.nodes:
            for seconds, axes in node.terms:
                if axes:
                    merged[axes] = merged.get(axes, 0.0) + seconds
        return [(seconds, list(axes)) for axes, seconds in merged.items()]

    @cached_property
    def _lengths(self) -> Lengths:
        return Lengths(self.structure, self.grid)

    def to_dict(self) -> dict[str, Any]:
        """What a report says of the table."""
        return {
            "designs": self.designs,
            "nodes": len(self.fit.nodes),
            "fit_error": round(self.fit.error, 4),
            "pace": round(self.fit.pace, 3),
            "cached": self.cached,
        }


class Lengths:
    """Lengths of the axes of a size model, in whole blocks where convolutions compute in blocks.

    Args:
        structure: of the model.
        grid: channels in one block.
    """

    def __init__(self, structure: Structure, grid: int) -> None:
        self._costs: Costs = compile_costs(structure, "macs")
        blocked = [bool(group.steps) for group in structure.groups]
        self._block = np.array(
            [
                grid if any(blocked[g] for _, own in axis.parts for g in own) else 1
                for axis in structure.sizes.axes
            ],
            dtype=np.int64,
        )

    def at(self, shares: Floats) -> Floats:
        """Lengths (plans, axes) for kept shares, (plans, groups)."""
        costs = self._costs
        if not costs.axes:
            return np.zeros((len(shares), 0))
        padded = np.append(shares, np.ones((len(shares), 1)), axis=1)
        parts = costs.part_count * np.prod(padded[:, costs.part_groups], axis=2)
        starts = np.searchsorted(costs.part_axis, np.arange(costs.axes))
        exact = np.add.reduceat(parts, starts, axis=1)
        lengths: Floats = np.ceil(exact / self._block - 1e-6) * self._block
        return lengths


def layer_table(
    coupling: Coupling,
    feed: Feed,
    *,
    grid: int,
    threads: int = 1,
    store: Store | None = None,
    advance: Advance | None = None,
) -> LayerTable:
    """Measure the layers of a model, or find them measured already.

    The model is cut to a few dozen designs, and ONNX Runtime profiles each of them, so that every layer is
    timed where it stands: fused with what follows, its input where the layer before left it.

    Args:
        coupling: of the model.
        feed: to run on.
        grid: of channels: only multiples of it are measured.
        threads: of ONNX Runtime.
        store: of tables measured before, None for none.
        advance: told how many designs are done, and of how many.

    Raises:
        Refusal: ONNX Runtime does not run most of the designs.
    """
    known = store.load() if store is not None else None
    if known is not None:
        return LayerTable(coupling.structure, grid, _restored(known), int(known["designs"]), cached=True)
    found, designs = _measured(coupling, feed, grid=grid, threads=threads, advance=advance)
    table = LayerTable(coupling.structure, grid, found, designs)
    if store is not None:
        store.save(_stored(table))
    return table


def _measured(
    coupling: Coupling, feed: Feed, *, grid: int, threads: int, advance: Advance | None
) -> tuple[Fit, int]:
    """The fit, and at how many designs it was measured: those that do not run are left out."""
    profiles: list[Profile] = []
    shares: list[Floats] = []
    runs = RUNS[0]
    refused: Refusal | None = None
    with tempfile.TemporaryDirectory() as folder:
        for place, design in enumerate(draw_designs(coupling, grid, DESIGNS, seed=0), start=1):
            try:
                model = runnable(coupling, design.kept, Path(folder))
                profiles.append(record(model, feed, runs=runs, threads=threads))
                shares.append(design.shares)
            except Refusal as exc:
                refused = exc
            if advance is not None:
                advance(place, DESIGNS)
            if profiles:
                runs = int(np.clip(SECONDS / float(profiles[0].whole.min()), *RUNS))
    if refused is not None and len(profiles) < FEWEST:
        raise refused
    lengths = Lengths(coupling.structure, grid).at(np.array(shares))
    return fit(Observations(tuple(profiles), lengths)), len(profiles)


def _stored(table: LayerTable) -> dict[str, Any]:
    own = table.fit
    nodes = [{"name": n.name, "op": n.op, "terms": [[c, list(a)] for c, a in n.terms]} for n in own.nodes]
    facts = {"error": own.error, "pace": own.pace, "rest": list(own.rest)}
    return {"designs": table.designs, **facts, "nodes": nodes}


def _restored(known: dict[str, Any]) -> Fit:
    nodes = tuple(NodeTime(n["name"], n["op"], _terms(n["terms"])) for n in known["nodes"])
    constant, share = known["rest"]
    return Fit(nodes, (float(constant), float(share)), float(known["error"]), float(known["pace"]))


def _terms(listed: Sequence[Any]) -> tuple[tuple[float, tuple[int, ...]], ...]:
    return tuple((float(seconds), tuple(axes)) for seconds, axes in listed)
