"""What pruning makes of a model, in a few words and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onnx import ModelProto

import onnxprune
from onnxprune.errors import OnnxPruneError

RATIO = 0.4


@dataclass(frozen=True)
class Outcome:
    """Of one model.

    Attributes:
        pruned: how many layers have fewer channels now.
        left: parameters left, as a share of the source's; 1 where the model was refused.
        verified: whether the result was compared with the masked source and equals it.
        error: the largest relative difference; None where nothing was compared.
        words: why nothing was compared, or why the model was refused; may be empty.
    """

    pruned: int
    left: float
    verified: bool
    error: float | None
    words: str


def outcome(model: ModelProto, **settings: Any) -> Outcome:
    """Prune a model in this process; refusals are outcomes, anything else is raised."""
    try:
        report = onnxprune.prune(model, **{"ratio": RATIO, "threads": 1, **settings}).report
    except OnnxPruneError as refusal:
        return Outcome(0, 1.0, False, None, str(refusal))
    before, after = report.to_dict()["totals"]["params"]
    check = report.verification.get("masked_equivalence") or {}
    return Outcome(
        pruned=sum(layer.status == "pruned" for layer in report.layers),
        left=after / before if before else 1.0,
        verified=bool(check.get("passed")),
        error=check.get("max_relative_error"),
        words=check.get("reason") or "",
    )
