"""``onnxprune MODEL``: prune."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from onnxprune.cli.accuracy_options import AccuracyOptions
from onnxprune.cli.errors import DONE, MISSED
from onnxprune.cli.finetune_options import RunOptions, TrainOptions
from onnxprune.cli.options import (
    CheckOptions,
    CriterionOptions,
    DataOptions,
    ModelPath,
    OutputOptions,
    ScopeOptions,
    TargetOptions,
)
from onnxprune.cli.quantize_options import QuantizeOptions
from onnxprune.cli.repair_options import RepairOptions
from onnxprune.cli.settings import settings
from onnxprune.cli.stdout import complain, deliver, working
from onnxprune.cli.step_options import StepOptions, TuneOptions
from onnxprune.cli.training_settings import clear_up, resumable, with_training

if TYPE_CHECKING:
    from onnxprune.api import PruneResult
    from onnxprune.report import Report


def prune(
    context: typer.Context,
    model: ModelPath,
    target: TargetOptions,
    criterion: CriterionOptions,
    scope: ScopeOptions,
    data: DataOptions,
    repair: RepairOptions,
    tune: TuneOptions,
    training: TrainOptions,
    steps: StepOptions,
    quantization: QuantizeOptions,
    accuracy: AccuracyOptions,
    checks: CheckOptions,
    run: RunOptions,
    output: OutputOptions,
) -> int:
    """Prune an ONNX model: remove whole channels, so that it is smaller and faster wherever it runs.

    Channels that can only go together (residual sums, concatenations, heads, depthwise layers) go
    together; the model's inputs and outputs stay as they are. Before the result is written it is
    compared with the source in which the same channels are masked.

    Exit codes: 0 done, 1 done but a bound was missed (verification, budget, --strict, slower
    under --bench), 2 error, 130 interrupted.
    """
    from onnxprune.api import open_job
    from onnxprune.api import run as prune_model
    from onnxprune.api.writing import at_risk
    from onnxprune.report.files import check_reports

    goal = output.output or model.with_name(f"{model.stem}.pruned.onnx")
    reports = output.report or []
    with working(show=not (output.json or output.quiet), timed=output.verbose > 0) as step:
        own = settings(target, criterion, scope, data, checks, repair, accuracy, quantization)
        job = open_job(with_training(own, tune, training, steps, run, goal))
        check_reports(reports, (model, goal))
        written = None if output.dry_run else goal
        with resumable(job.settings.run_folder):
            result = prune_model(model, job, output=written, progress=step, must_cut=not output.dry_run)
        result = replace(result, report=replace(result.report, command=str(context.obj or "")))
    with at_risk(result.model, result.quantized), _reports_written(result, reports):
        _show(result.report, output)
    if run.run_folder is None:
        clear_up(job.settings)
    return MISSED if result.report.missed else DONE


@contextmanager
def _reports_written(result: PruneResult, paths: Sequence[Path]) -> Iterator[None]:
    """Write all reports, unless another run has replaced the model; none stays where the rest fails."""
    from onnxprune.api.writing import unchanged
    from onnxprune.report.files import write_report

    with ExitStack() as failed:
        with unchanged(result.model, result.quantized) if paths else nullcontext():
            for path in paths:
                write_report(result.report, path)
                failed.callback(path.unlink, missing_ok=True)
        yield
        failed.pop_all()


def _show(report: Report, output: OutputOptions) -> None:
    from onnxprune.report.figures import printable

    if output.json:
        from onnxprune.report import dumps

        deliver(dumps(report.to_dict()))
        return
    if output.quiet:
        complain("".join(f"missed: {printable(text)}\n" for text in report.missed))
        return
    from rich.console import Console

    from onnxprune.report.terminal import show

    console = Console()
    with console.capture() as text:
        show(
            report,
            console,
            verbose=output.verbose,
            files=[str(path) for path in output.report or ()],
            hint=_hint(report, output),
        )
    deliver(text.get())


def _hint(report: Report, output: OutputOptions) -> str:
    """What to do next; one sentence, or none."""
    if report.wrong:
        return "please report this with the model: a result that fails here is a defect of onnxprune"
    if not report.cuts:
        return "'onnxprune inspect MODEL' shows every group of channels and what holds it"
    if output.dry_run:
        return "the same command without --dry-run writes the model"
    if report.cleaned:
        return ""
    if report.training:
        return "where this lost too much, train longer (--finetune, --last-epochs) or prune in --steps"
    if report.accuracy:
        return "where this lost too much, prune less (--ratio, --max-drop, --exclude) or add --finetune"
    method = report.repair.get("method", "none")
    done = (
        "no weight was retrained" if method == "none" else f"weights were repaired ({method}), not retrained"
    )
    return (
        f"measure the accuracy before use: {done}. Where it lost too much, prune less "
        "(--ratio, --exclude) or fine-tune the result"
    )
