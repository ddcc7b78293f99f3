"""The step between verification and writing: what is left makes up for what is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from onnxprune.api.job import Job
from onnxprune.api.planning import Step
from onnxprune.calibration import Samples
from onnxprune.coupling import Coupling
from onnxprune.coupling.groups import Indices
from onnxprune.errors import InputError
from onnxprune.surgery import Cut, flush_denormals


@dataclass(frozen=True)
class Mended:
    """A cut after the repair.

    Attributes:
        cut: with the repaired model, or as it was.
        method: what was done, ``none`` for nothing.
        account: the report's section; empty where nothing was asked for.
        notes: what the user should know.
    """

    cut: Cut
    method: str = "none"
    account: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def mend(
    coupling: Coupling,
    cut: Cut,
    kept: Mapping[str, Indices],
    job: Job,
    step: Step,
    *,
    samples: Samples | None = None,
) -> Mended:
    """Repair a cut as a job says.

    A repair that ``auto`` has chosen is taken back where the outputs on the samples are not nearer to
    those of the source with it.

    Args:
        coupling: of the source.
        cut: verified.
        kept: group -> kept units.
        job: what to do.
        step: told the name of the step.
        samples: to fit to.

    Raises:
        UsageError: the method needs samples, and there are none.
        InputError: the model does not run on the samples.
    """
    asked = job.repair
    if asked == "none" or not kept:
        return Mended(cut)
    from onnxprune.repair.error import output_errors  # brings ONNX Runtime with it
    from onnxprune.repair.method import RepairOptions
    from onnxprune.repair.methods import choose_method, repair_cut

    method = choose_method(asked, samples=samples is not None)
    step(f"repairing ({method})")
    own = job.settings
    advance = getattr(step, "advance", None)  # of a step that can show how far it is
    options = RepairOptions(seed=own.seed, threads=own.threads, advance=advance)
    try:
        found = repair_cut(coupling, cut, kept, method, samples=samples, options=options)
    except InputError as exc:
        if asked != "auto":
            raise
        return Mended(cut, notes=(f"the result was not repaired: {exc.message}",))
    model, _ = flush_denormals(found.model)
    account: dict[str, Any] = {
        "method": method,
        "asked": asked,
        "samples": 0 if samples is None else samples.count,
        "data": "" if samples is None else samples.description,
        **found.figures,
        "layers": [dict(row) for row in found.layers],
    }
    mended = Mended(replace(cut, model=model), method, account, found.notes)
    if samples is None:
        return mended
    before, after = output_errors(coupling, (cut.model, model), samples, threads=own.threads)
    account["output_error"] = [float(f"{before:.4g}"), float(f"{after:.4g}")]
    if after < before:
        return mended
    worse = (
        f"the repair brought the outputs on the samples no nearer to the source: {before:.3g}, {after:.3g}"
    )
    if asked != "auto":
        return replace(mended, notes=(*found.notes, worse))
    note = f"{worse}; it was taken back"
    return Mended(cut, "none", {**account, "method": "none", "tried": method}, (*found.notes, note))
