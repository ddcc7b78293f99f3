"""The steps of a pruning run, in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from onnxprune.api.accounting import finished, report_of
from onnxprune.api.accuracy import drop_notes, measured_accuracy, within_bound
from onnxprune.api.holding import open_shares
from onnxprune.api.job import Job
from onnxprune.api.planning import Planned, Step, check_prunable, open_model, plan_model
from onnxprune.api.quantizing import Copies, copy_account, copy_path, judged, make_copies
from onnxprune.api.sources import Source, open_source, opening
from onnxprune.api.sparsifying import carried_out
from onnxprune.api.writing import at_risk, check_apart, written, written_together
from onnxprune.calibration import Samples, notes_of
from onnxprune.model import Model
from onnxprune.model.save import check_output
from onnxprune.report import Report


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
        own = job.settings
        read = (own.data, own.preprocess, own.train_data, own.validation_data, own.teacher)
        check_apart(output, *read)
        if job.settings.quantize is not None:
            check_output(copy_path(output, job.settings.quantize), model)
    coupling = open_model(model, step, job.settings.factor)
    if must_cut and not job.only_cleans:
        check_prunable(coupling.structure, model)
    shares = open_shares(job, coupling, step)
    counted, bound = within_bound(coupling, job, shares, step)
    planned = _noted(plan_model(coupling, counted, step, samples=shares.fitting), shares.fitting)
    outcome = carried_out(planned, job, counted, shares, step)
    report = report_of(outcome, job)
    if not report.wrong and (planned.plan.kept or bound):
        trained = bool(outcome.training)
        section = measured_accuracy(model, outcome.stages, shares, job, step, bound=bound, trained=trained)
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
        with at_risk(saved, copy):
            report = replace(report, latency={**report.latency, **against_source(named, job, step)})
    full = finished(report, job, saved, output=output, flushed=outcome.flushed)
    return PruneResult(saved, full, copy)


def _write(
    model: Model, copies: Copies | None, path: Path | None, report: Report, job: Job, fitting: Samples | None
) -> tuple[Model, Model | None, Report]:
    """The result and its quantised copy, both written or none, and the report with the copy in it."""
    if copies is None:
        return written(model, path), None, report
    beside = None if path is None else copy_path(path, str(job.settings.quantize))
    saved, copy = written_together((model, path), (copies.result, beside))
    account = copy_account(copy, copies, beside, job, fitting)
    return saved, copy, replace(report, quantization={**account, **report.quantization})


def _noted(planned: Planned, samples: Samples | None) -> Planned:
    """With what the user should know about the samples."""
    return planned if samples is None else replace(planned, notes=(*notes_of(samples), *planned.notes))


def _silent(step: str) -> None:
    """Progress that nobody watches."""
