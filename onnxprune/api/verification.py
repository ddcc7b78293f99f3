"""Checking a pruned file with its source and its report alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxprune.api.planning import Step
from onnxprune.api.sources import Source, open_source
from onnxprune.errors import VerificationError
from onnxprune.report import Claims, Report, claims, read_claims

_REPAIRED = (
    "the weights that are left were repaired or trained after the cut was verified, so only shapes and the "
    "form of the outputs are checked; these differ from the masked source's by {:.1g} of their largest value"
)

if TYPE_CHECKING:
    from onnxprune.surgery import Cuts
    from onnxprune.verification import Verification


@dataclass(frozen=True)
class VerifyResult:
    """What a second look at a pruned file found.

    Attributes:
        verification: the comparison with the masked source.
        tensors: how many constants the report says were cut.
        notes: what does not decide, but should be known.
    """

    verification: Verification
    tensors: int
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the file is what the report says."""
        return self.verification.passed

    def to_dict(self) -> dict[str, Any]:
        """The outcome as one JSON object."""
        found = self.verification
        return {
            "passed": self.passed,
            "tensors": self.tensors,
            "verification": {
                "masked_equivalence": {
                    "checked": found.checked,
                    "max_relative_error": found.max_relative_error,
                    "tolerance": found.tolerance,
                    "samples": found.samples,
                    "passed": found.passed,
                    "reason": found.reason,
                }
            },
            "notes": list(self.notes),
        }


def verify(
    source: Source,
    pruned: Source,
    report: Report | Mapping[str, Any] | str | os.PathLike[str],
    *,
    seed: int = 0,
    threads: int | None = None,
    progress: Step | None = None,
) -> VerifyResult:
    """Check a pruned model against the account of how it was made.

    The masked source is rebuilt from the report's cuts; constants must hold the kept values bit for
    bit, and outputs must agree on random inputs. Where the report says that weights were repaired, only
    shapes and the form of the outputs can be checked.

    Args:
        source: the model before pruning.
        pruned: the model after it.
        report: a report, its JSON object, or the path of the file.
        seed: of the random inputs.
        threads: of ONNX Runtime, None leaves the choice to it.
        progress: called with the name of each step as it begins.

    Raises:
        InputError: a file cannot be used, or the three do not belong together.
    """
    from onnxprune.verification import Verification, recheck

    step = progress or (lambda _: None)
    step("loading")
    stated = _claims(report)
    before, after = open_source(source), open_source(pruned)
    pairs = (("source", before.sha256, stated.source), ("pruned model", after.sha256, stated.output))
    notes = tuple(
        f"the {name} is not byte for byte the file that the report describes"
        for name, found, said in pairs
        if said and found != said
    )
    step("verifying")
    cuts: Cuts = {} if stated.lossless else stated.cuts
    try:
        found = recheck(before, after, cuts, exact=stated.exact, seed=seed, threads=threads)
    except VerificationError as exc:
        found = Verification(True, inf, 0.0, 0, False, exc.message)
    if stated.repaired and isfinite(found.max_relative_error):
        found, notes = _as_repaired(found), (*notes, _REPAIRED.format(found.max_relative_error))
    return VerifyResult(found, len(stated.cuts), notes)


def _as_repaired(found: Verification) -> Verification:
    """The comparison where weights were changed on purpose: outputs only have to be of the same form."""
    return replace(
        found, tolerance=inf, passed=found.checked, reason=found.reason if not found.checked else ""
    )


def _claims(report: Report | Mapping[str, Any] | str | os.PathLike[str]) -> Claims:
    if isinstance(report, Report):
        return claims(report.to_dict())
    return claims(report) if isinstance(report, Mapping) else read_claims(Path(report))
