"""What coupling found in a model, and what a plan would do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxprune.coupling import Coupling, Group
from onnxprune.coupling.groups import Floats, Structure
from onnxprune.plan import Plan
from onnxprune.plan.costs import compile_costs
from onnxprune.report.build import describe_source
from onnxprune.report.document import SCHEMA, LayerRow


@dataclass(frozen=True)
class GroupRow:
    """One group of coupled channels.

    Attributes:
        group: as coupling found it.
        macs: multiply-accumulates that depend on its channels.
        params: parameters that depend on its channels.
        kept: how many channels the plan keeps; None without a plan.
        reason: why it cannot be pruned, or why the plan leaves it whole.
    """

    group: Group
    macs: int
    params: int
    kept: int | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON, with every constant axis that the channels run along."""
        own = self.group
        return {
            "name": own.name,
            "channels": own.size,
            "kept": self.kept,
            "prunable": not own.held,
            "reason": self.reason,
            "layers": list(own.layers),
            "macs": self.macs,
            "params": self.params,
            "steps": list(own.steps),
            "changes_statistic": own.changes_statistic,
            "foldable": own.foldable,
            "members": [
                {
                    "tensor": member.constant,
                    "axis": member.axis,
                    "size": len(member.units),
                    "role": member.role.value,
                    "layer": member.layer,
                }
                for member in own.slices
            ],
        }


@dataclass(frozen=True)
class Inspection:
    """What could be pruned in a model, and what a plan would do.

    Attributes:
        source: the file.
        totals: ``params``, ``macs``, ``bytes`` and ``filters`` of the model.
        groups: in graph order.
        layers: in graph order; channels before and after are the same.
        settings: of the plan; empty without one.
        planned: predicted ``params``, ``macs`` and ``bytes``; empty without a plan.
    """

    source: Mapping[str, Any]
    totals: Mapping[str, int]
    groups: tuple[GroupRow, ...]
    layers: tuple[LayerRow, ...]
    settings: Mapping[str, Any]
    planned: Mapping[str, int]

    @property
    def prunable(self) -> tuple[GroupRow, ...]:
        """The groups that may lose channels."""
        return tuple(row for row in self.groups if not row.group.held)

    def to_dict(self) -> dict[str, Any]:
        """The inspection as one JSON object."""
        return {
            "schema": SCHEMA,
            "source": dict(self.source),
            "totals": dict(self.totals),
            "groups": [row.to_dict() for row in self.groups],
            "layers": [
                {
                    "name": row.name,
                    "op": row.op,
                    "weight": row.weight,
                    "channels": row.channels[0],
                    "groups": list(row.groups),
                    "prunable": row.status != "pinned",
                    "reason": row.reason,
                }
                for row in self.layers
            ],
            "settings": dict(self.settings) or None,
            "planned": dict(self.planned) or None,
        }


def describe(coupling: Coupling, plan: Plan | None, settings: Mapping[str, Any]) -> Inspection:
    """Everything that coupling knows of a model, and a plan for it.

    Args:
        coupling: of the model.
        plan: what would be kept, or None.
        settings: of the plan.
    """
    structure, source = coupling.structure, coupling.model
    whole = structure.sizes.totals(np.ones(len(structure.groups)))
    macs, params = (_dependent(structure, metric) for metric in ("macs", "params"))
    groups = tuple(
        GroupRow(group, round(macs[i]), round(params[i]), _kept(group, plan), _reason(group, plan))
        for i, group in enumerate(structure.groups)
    )
    return Inspection(
        source=describe_source(source),
        totals={
            "params": round(whole["params"]),
            "macs": round(whole["macs"]),
            "bytes": source.nbytes,
            "filters": sum(layer.channels for layer in structure.layers),
        },
        groups=groups,
        layers=_layers(structure),
        settings=settings if plan else {},
        planned={name: round(value) for name, value in plan.totals.items()} if plan else {},
    )


def _dependent(structure: Structure, metric: Any) -> Floats:
    """How much of a figure goes with all channels of each group, shape (groups,)."""
    ones = np.ones(len(structure.groups))
    return -compile_costs(structure, metric).changes(ones, 0 * ones)


def _kept(group: Group, plan: Plan | None) -> int | None:
    if plan is None:
        return None
    return len(plan.kept[group.name]) if group.name in plan.kept else group.size


def _reason(group: Group, plan: Plan | None) -> str:
    return group.held or (plan.reasons.get(group.name, "") if plan else "")


def _layers(structure: Structure) -> tuple[LayerRow, ...]:
    held = {group.name: group.held for group in structure.groups}
    rows = []
    for layer in structure.layers:
        free = any(not held[name] for name in layer.groups)
        reasons = dict.fromkeys(held[name] for name in layer.groups if held[name])
        rows.append(
            LayerRow(
                name=layer.name,
                op=layer.op,
                weight=layer.weight,
                channels=(layer.channels, layer.channels),
                groups=layer.groups,
                status="kept" if free else "pinned",
                reason=layer.reason or "; ".join(reasons),
            )
        )
    return tuple(rows)
