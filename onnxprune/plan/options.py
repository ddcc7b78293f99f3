"""What a plan is asked for, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from onnxprune.coupling.groups import Indices
from onnxprune.plan.targets import Target


@dataclass(frozen=True)
class PlanOptions:
    """What to reach and where.

    Attributes:
        target: a ratio, a budget, or counts.
        scope: a key of ``SCOPES``: which units are ranked against each other.
        align: ``auto``, ``off``, or the number of channels to align to.
        include: globs; only groups with a matching layer, weight or name are cut.
        exclude: globs; groups with a matching layer, weight or name stay whole.
        layer_ratios: (glob, ratio) pairs in the user's order, the last match counts.
        greedy: whether scores are taken anew behind each group that was cut; needs ``rescore``.
        overhead_bytes: bytes of the file that are no constants, added to every predicted size.
        priced: whether scores are losses on one scale: where units of several groups compete, a unit that
            saves more of the target's metric may cost more.
        most: group -> units that it keeps at most, whatever the target: what thresholds leave of it.
    """

    target: Target
    scope: str = "local"
    align: str | int = "auto"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    layer_ratios: tuple[tuple[str, float], ...] = ()
    greedy: bool = False
    overhead_bytes: float = 0.0
    priced: bool = False
    most: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, eq=False)
class Plan:
    """Which units stay.

    Attributes:
        kept: group -> kept positions, ascending; only groups that lose units.
        reasons: group -> why it was left whole; every group is here or in ``kept``.
        totals: predicted ``macs``, ``params`` and ``bytes`` of the file.
        unaligned: the same for the plan before its counts were aligned.
        alignment: grid of the counts, 1 = off.
    """

    kept: Mapping[str, Indices]
    reasons: Mapping[str, str]
    totals: Mapping[str, float]
    unaligned: Mapping[str, float]
    alignment: int
