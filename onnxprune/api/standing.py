"""Where a run of several steps stands between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxprune.coupling.groups import Indices
from onnxprune.model import Model


@dataclass(frozen=True, eq=False)
class Standing:
    """Where a run stands between two steps.

    Attributes:
        model: as it is.
        kept: units of the source, by group; groups that keep all are not named.
        removed_by: group of the source -> (units,) position of the criterion that removed the unit.
        verification: as the report states it, of the step that came closest to its tolerance.
        steps: what each step did, for the report.
        training: how each training went, for the report.
        notes: what the user should know.
        warnings: of surgery.
        flushed: constants whose denormal values were set to zero.
        at_once: groups that were cut to the end before their turn.
    """

    model: Model
    kept: Mapping[str, Indices] = field(default_factory=dict)
    removed_by: Mapping[str, Indices] = field(default_factory=dict)
    verification: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    steps: tuple[Mapping[str, Any], ...] = ()
    training: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    flushed: tuple[str, ...] = ()
    at_once: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything but the model, as JSON holds it."""
        found = {name: value for name, value in vars(self).items() if name != "model"}
        for name in ("kept", "removed_by"):
            found[name] = {group: units.tolist() for group, units in found[name].items()}
        return found


def standing_of(model: Model, account: Mapping[str, Any]) -> Standing:
    """A standing as it was kept."""
    found: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in account.items()
    }
    for name in ("kept", "removed_by"):
        found[name] = {group: np.array(units, np.int64) for group, units in found[name].items()}
    return Standing(model, **found)


def merged(before: Standing, now: Mapping[str, Indices], kept: Mapping[str, Indices]) -> dict[str, Indices]:
    """By which criterion each unit went that has gone so far: at the step when it did."""
    found = {}
    for name, own in now.items():
        gone_before = before.removed_by.get(name, np.full(len(own), -1))
        found[name] = np.where(gone_before >= 0, gone_before, own)
        found[name][kept.get(name, slice(None))] = -1
    return found


def closest(
    one: Mapping[str, Mapping[str, Any]], other: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Mapping[str, Any]]:
    """Of two verifications the one with the larger share of its tolerance used up."""
    if not one or not other:
        return one or other
    first, second = one["masked_equivalence"], other["masked_equivalence"]
    return one if _used(first) >= _used(second) else other


def _used(found: Mapping[str, Any]) -> float:
    if not found["checked"]:
        return float("inf")
    return float(found["max_relative_error"] / found["tolerance"]) if found["tolerance"] else float("inf")
