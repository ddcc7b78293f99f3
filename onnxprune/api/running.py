"""The steps of a pruning run, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

from onnxprune.api.accuracy import drop_notes, measured_accuracy, missed_drop, within_bound
from onnxprune.api.holding import open_shares
from onnxprune.api.planning import Planned, Step, check_prunable, open_model, plan_model
from onnxprune.api.quantizing import Copies, copy_path, judged, make_copies, write_copy
from onnxprune.api.repairing import mend
from onnxprune.api.settings import Job
from onnxprune.api.sources import Source, open_source, opening
from onnxprune.api.writing import take_back, written
from onnxprune.calibration import Samples, notes_of
from onnxprune.errors import VerificationError
from onnxprune.model import Model
from onnxprune.model.save import check_output
from onnxprune.plan import BudgetTarget, RatioTarget
from onnxprune.plan.problem import TOLERANCE
from onnxprune.report import Report, build
from onnxprune.report.figures import plural
from onnxprune.report.groups import group_accounts
from onnxprune.report.scores import Histogram, histograms
from onnxprune.runtime.spread import SLOWER
from onnxprune.surgery import Cut, apply, flush_denormals

_NAMES_SHOWN = 3


@dataclass(frozen=True)
class PruneResult:
    """A pruned model and the account of how it came about.

    Attributes:
        model: the pruned model; ``model.to_proto()`` gives it to other libraries.
        report: figures, cuts, verification and warnings.
        quantized: its quantised copy, None where none was asked for.
    """

    model: Model
    report: Report
    quantized: Model | None = None


@dataclass(frozen=True)
class _Outcome:
    """What surgery left, before it is written."""

    cut: Cut
    repair: str
    flushed: tuple[str, ...]
    cleaned: bool = False
    account: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def run(
    source: Source,
    job: Job,
    *,
    output: Path | None = None,
    progress: Step | None = None,
    must_cut: bool = True,
    example_inputs: object = None,
) -> PruneResult:
    """Prune as a job says.

    A result that verification finds wrong is returned and reported, but not written.

    Args:
        source: the model, or where it is.
        job: what to do.
        output: where to write, None for nowhere.
        progress: told the name of each step.
        must_cut: whether a model of which nothing can be removed is an error.
        example_inputs: what a model that does not declare its inputs is called with.

    Raises:
        OnnxPruneError: of the kinds that ``prune`` names, other than a failed verification.
    """
    step = progress or _silent
    step(opening(source))
    model = open_source(source, example_inputs=example_inputs)
    if output is not None:
        check_output(output, model)
        if job.settings.quantize is not None:
            check_output(copy_path(output, job.settings.quantize), model)
    coupling = open_model(model, step, job.settings.factor)
    if must_cut and not job.only_cleans:
        check_prunable(coupling.structure, model)
    shares = open_shares(job, coupling, step)
    counted, bound = within_bound(coupling, job, shares, step)
    planned = _noted(plan_model(coupling, counted, step, samples=shares.fitting), shares.fitting)
    step("cutting")
    outcome = _cut(planned, job)
    verification: dict[str, dict[str, Any]] = {}
    if job.settings.verify:
        step("verifying")
        verification["masked_equivalence"] = _verified(planned, outcome, job)
    plain, outcome = outcome, _mended(planned, outcome, job, step, shares.fitting)
    report = _report(planned, outcome, job, verification=verification)
    if not report.wrong and (planned.plan.kept or bound):
        models = (plain.cut.model, outcome.cut.model)
        section = measured_accuracy(model, models, shares, job, step, bound=bound)
        report = replace(report, accuracy=section, warnings=(*report.warnings, *drop_notes(section)))
    writable = None if report.wrong else output
    copies = None if report.wrong else make_copies(model, outcome.cut.model, shares, job, step)
    if copies is not None and report.accuracy.get("stages"):
        report = replace(report, quantization={"accuracy": judged(copies, model, shares, job)})
    step("writing")
    saved, copy, report = _write(outcome.cut.model, copies, writable, report, job, shares.fitting)
    if job.settings.bench and not report.wrong:
        from onnxprune.api.latency import against_source  # brings ONNX Runtime with it

        others = {} if copies is None else copies.named(str(job.settings.quantize))
        named = {"source": model, "pruned": saved, **others}
        report = replace(report, latency={**report.latency, **against_source(named, job, step)})
    full = _finished(report, job, saved, output=output, flushed=outcome.flushed)
    return PruneResult(saved, full, copy)


def _write(
    model: Model, copies: Copies | None, path: Path | None, report: Report, job: Job, fitting: Samples | None
) -> tuple[Model, Model | None, Report]:
    """The result and its quantised copy, both written or none, and the report with the copy in it."""
    saved = written(model, path)
    if copies is None:
        return saved, None, report
    try:
        found = write_copy(copies, path, job, fitting)
    except BaseException:
        take_back(saved)
        raise
    return saved, found.model, replace(report, quantization={**found.account, **report.quantization})


def _noted(planned: Planned, samples: Samples | None) -> Planned:
    """With what the user should know about the samples."""
    return planned if samples is None else replace(planned, notes=(*notes_of(samples), *planned.notes))


def _cut(planned: Planned, job: Job) -> _Outcome:
    if job.only_cleans:
        from onnxprune.repair import clean_up

    coupling, kept = planned.coupling, planned.plan.kept
    cleaning = job.only_cleans and not kept and not planned.asked
    cut = clean_up(coupling) if cleaning else apply(coupling, kept)
    model, flushed = flush_denormals(cut.model)
    return _Outcome(replace(cut, model=model), "merge" if cleaning else "none", tuple(flushed), cleaning)


def _mended(planned: Planned, outcome: _Outcome, job: Job, step: Step, samples: Samples | None) -> _Outcome:
    """The repaired outcome; a clean-up loses nothing that could be repaired."""
    if outcome.cleaned:
        return outcome
    found = mend(planned.coupling, outcome.cut, planned.plan.kept, job, step, samples=samples)
    return replace(outcome, cut=found.cut, repair=found.method, account=found.account, notes=found.notes)


def _verified(planned: Planned, outcome: _Outcome, job: Job) -> dict[str, Any]:
    """The comparison, as the report states it; a clean-up has to equal the source itself."""
    from onnxprune.verification import Verification, masked_equivalence  # brings ONNX Runtime with it

    coupling, cut = planned.coupling, outcome.cut
    if outcome.cleaned:
        cut = replace(cut, cuts={}, survivors=coupling.survivors({}))
    own = job.settings
    try:
        found = masked_equivalence(coupling.model, cut, coupling, seed=own.seed, threads=own.threads)
    except VerificationError as exc:
        found = Verification(True, inf, 0.0, 0, False, exc.message)
    return asdict(found)


def _report(
    planned: Planned, outcome: _Outcome, job: Job, *, verification: Mapping[str, Mapping[str, Any]]
) -> Report:
    """The report as far as it is known before the result is written."""
    coupling, plan, cut = planned.coupling, planned.plan, outcome.cut
    reasons = _reasons(planned, outcome)
    rows = build.layer_rows(
        coupling,
        cut,
        reasons=reasons,
        asked=planned.asked,
        removed_by=planned.removed_by,
        criteria=len(job.criteria),
    )
    totals = build.totals(coupling, cut, rows)
    deviation = _deviation(totals["macs"][1], plan.unaligned["macs"])
    return Report(
        source=build.describe_source(coupling.model),
        output={},
        settings={**job.to_dict(), "repair": outcome.repair},
        repair=outcome.account,
        latency=planned.latency,
        totals=totals,
        layers=rows,
        cuts=cut.cuts,
        verification=verification,
        alignment={
            "grid": plan.alignment,
            "unaligned": {name: round(value) for name, value in plan.unaligned.items()},
            "deviation": deviation,
        },
        warnings=(*_warnings(planned, outcome, verification), *_off_plan(deviation, job)),
        groups=group_accounts(coupling, cut.survivors, reasons),
        scores=_histograms(planned),
        versions=build.versions(),
    )


def _histograms(planned: Planned) -> Mapping[str, Histogram]:
    """How the scores that decided are spread; where nothing was chosen they decided nothing."""
    if not planned.plan.kept:
        return {}
    others = {name: (by >= 0) & (by != planned.last) for name, by in planned.removed_by.items()}
    return histograms(planned.coupling.structure.groups, planned.scores, planned.plan.kept, others)


def _finished(
    report: Report, job: Job, saved: Model, *, output: Path | None, flushed: tuple[str, ...]
) -> Report:
    """The report with what is known once the bytes are."""
    done = output is not None and saved.sha256 != ""
    full = replace(
        report,
        output=build.describe_output(output, saved, written=done, flushed=flushed),
        totals={**report.totals, "bytes": (report.totals["bytes"][0], saved.nbytes)},
    )
    return replace(full, missed=tuple(_missed(full, job)))


def _reasons(planned: Planned, outcome: _Outcome) -> Mapping[str, str]:
    """Why groups were left whole; the plan knows nothing of a clean-up."""
    if not outcome.cleaned:
        return planned.plan.reasons
    groups = planned.coupling.structure.groups
    return {group.name: group.held or "none of its channels is dead or a duplicate" for group in groups}


def _deviation(aligned: float, plain: float) -> float:
    """By which share of the plain plan's MACs alignment changed them."""
    return round(aligned / plain - 1.0, 6) if plain else 0.0


def _off_plan(deviation: float, job: Job) -> Iterator[str]:
    """Small layers have few counts to choose from; a budget is held whatever they are."""
    if isinstance(job.target, RatioTarget) and abs(deviation) > TOLERANCE:
        yield (
            f"aligned to {job.grid} channels the result has {deviation:+.0%} MACs against the plain plan, "
            "as its layers have few such counts; --align off keeps to the plan"
        )


def _warnings(
    planned: Planned, outcome: _Outcome, verification: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    yield from planned.notes
    yield from outcome.cut.warnings
    yield from outcome.notes
    if outcome.flushed:
        shown = ", ".join(outcome.flushed[:_NAMES_SHOWN])
        more = len(outcome.flushed) - _NAMES_SHOWN
        yield (
            f"denormal weights, which slow many processors down, were set to zero in "
            f"{plural(len(outcome.flushed), 'tensor')}: {shown}" + (f" and {more} more" if more > 0 else "")
        )
    if not outcome.cut.cuts:
        yield "nothing was removed; each layer says why"
    for found in verification.values():
        if not found["checked"]:
            yield f"the result is not verified: {found['reason']}"


def _missed(report: Report, job: Job) -> Iterator[str]:
    if report.wrong:
        yield f"verification: {report.wrong}"
    target = job.target
    if isinstance(target, BudgetTarget):
        before, after = report.totals[target.metric]
        if after > target.limit(before) * (1 + 1e-9):
            yield f"{target}: the result has {target.spell(after, before, up=True)}"
    if job.settings.bench and report.latency.get("verdict") == SLOWER:
        yield f"--bench: the result takes {report.latency['ratio']:.3g}x the time of the source"
    yield from missed_drop(report.accuracy)
    if job.settings.strict:
        yield from _missed_strictly(report)


def _missed_strictly(report: Report) -> Iterator[str]:
    names = [row.name for row in report.untouched]
    if names:
        more = len(names) - _NAMES_SHOWN
        shown = ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        yield f"--strict: {plural(len(names), 'layer')} untouched: {shown}"
    for method, found in report.verification.items():
        if not found["checked"]:
            yield f"--strict: {method.replace('_', ' ')} was not checked: {found['reason']}"


def _silent(step: str) -> None:
    """Progress that nobody watches."""
