"""The report of one run, as the JSON contract (schema 1) spells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from onnxprune.report.groups import GroupAccount
    from onnxprune.report.scores import Histogram
    from onnxprune.surgery import Cuts

SCHEMA = 1
"""Raised when a reader of older reports could misread a newer one."""

Change = tuple[int, int]
"""A figure before and after."""

Status = Literal["pruned", "kept", "pinned"]


@dataclass(frozen=True)
class LayerRow:
    """What became of one layer.

    Attributes:
        name: node name, or that of its first output.
        op: operator type.
        weight: its weight's name in the source file.
        channels: output channels before and after.
        groups: the groups that its output channels belong to.
        status: ``pruned`` lost output channels; ``kept`` could have; ``pinned`` cannot.
        reason: why it kept (some of) its channels; empty when it lost all that it could.
        untouched: nothing of its weight was removed, although nobody asked to leave it alone.
        removed_by: output channels that each criterion removed, in the order of ``settings.criteria``.
    """

    name: str
    op: str
    weight: str
    channels: Change
    groups: tuple[str, ...]
    status: Status
    reason: str = ""
    untouched: bool = False
    removed_by: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The row of the contract, and all groups where a layer has several."""
        return {
            "name": self.name,
            "op": self.op,
            "weight": self.weight,
            "channels": list(self.channels),
            "group": self.groups[0] if self.groups else None,
            "groups": list(self.groups),
            "status": self.status,
            "reason": self.reason,
            "removed_by": list(self.removed_by),
        }


@dataclass(frozen=True)
class Report:
    """The account of one run.

    Attributes:
        source: the file that was read.
        output: the file that was, or would have been, written.
        settings: everything that decides the result.
        totals: ``params``, ``macs``, ``bytes``, ``filters`` before and after, counted on the result.
        layers: every layer in graph order.
        cuts: what each constant of the source lost.
        verification: by method; ``masked_equivalence`` where it was asked for.
        accuracy: empty unless measured.
        latency: empty unless measured.
        quantization: of the result's quantised copy; empty where none was asked for.
        warnings: what the user should know.
        alignment: grid of the channel counts, and the totals planned before aligning to it.
        missed: bounds that the result does not hold; the exit code is 1 when there are any.
        repair: what the repair did: method, samples, layers; empty where none was asked for.
        steps: what each of several steps did; empty where there was one.
        training: how each training went, in order; empty where there was none.
        groups: every group in graph order, with the nodes that it ties together.
        scores: how the scores of a group are spread and where they were cut, for 512 groups at most.
        versions: of the package, Python, and the libraries that decide the result.
        command: the command line, empty where there was none.
    """

    source: Mapping[str, Any]
    output: Mapping[str, Any]
    settings: Mapping[str, Any]
    totals: Mapping[str, Change]
    layers: tuple[LayerRow, ...]
    cuts: Cuts
    verification: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    latency: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    alignment: Mapping[str, Any] = field(default_factory=dict)
    missed: tuple[str, ...] = ()
    repair: Mapping[str, Any] = field(default_factory=dict)
    quantization: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Mapping[str, Any], ...] = ()
    training: tuple[Mapping[str, Any], ...] = ()
    groups: tuple[GroupAccount, ...] = ()
    scores: Mapping[str, Histogram] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def untouched(self) -> tuple[LayerRow, ...]:
        """Layers of which nothing was removed, although nobody asked to leave them alone."""
        return tuple(layer for layer in self.layers if layer.untouched)

    @property
    def cleaned(self) -> bool:
        """Whether only what the outputs do not depend on was removed, so that they equal the source's."""
        return self.settings["repair"] == "merge" and not self.repair

    @property
    def wrong(self) -> str:
        """What verification found wrong; empty when nothing."""
        failed = (f for f in self.verification.values() if f["max_relative_error"] > f["tolerance"])
        return next((str(found["reason"]) for found in failed), "")

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of the contract; equal runs give equal objects, but for times."""
        return {
            "schema": SCHEMA,
            "source": dict(self.source),
            "output": dict(self.output),
            "settings": dict(self.settings),
            "totals": {name: list(change) for name, change in self.totals.items()},
            "layers": [layer.to_dict() for layer in self.layers],
            "cuts": {name: dict(axes) for name, axes in self.cuts.items()},
            "verification": {name: dict(found) for name, found in self.verification.items()},
            "accuracy": dict(self.accuracy),
            "latency": dict(self.latency),
            "warnings": list(self.warnings),
            "alignment": dict(self.alignment),
            "missed": list(self.missed),
            "repair": dict(self.repair),
            "quantization": dict(self.quantization),
            "steps": [dict(row) for row in self.steps],
            "training": [dict(stage) for stage in self.training],
            "groups": [group.to_dict() for group in self.groups],
            "scores": {name: histogram.to_dict() for name, histogram in self.scores.items()},
            "versions": dict(self.versions),
            "command": self.command,
        }


def target_text(settings: Mapping[str, Any]) -> str:
    """The target of a report's settings as it was asked for: ``--ratio 0.4``."""
    (name, amount), *_ = settings["target"].items()
    option = name.replace("_", "-")
    return f"--{option} {amount:g}" if isinstance(amount, float) else f"--{option} {amount}"


def criteria_text(settings: Mapping[str, Any]) -> str:
    """The criteria of a report's settings, without options: ``entropy:0.3, then correlation:0.8``."""
    stages = settings.get("criteria") or [settings["criterion"]]
    return ", then ".join(_with_threshold(stage) for stage in stages)


def _with_threshold(stage: Mapping[str, Any]) -> str:
    threshold = stage["threshold"]
    return str(stage["name"]) if threshold is None else f"{stage['name']}:{threshold:g}"
