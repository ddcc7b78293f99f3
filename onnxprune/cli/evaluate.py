"""``onnxprune evaluate``: how models do on data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from onnxprune.cli.errors import told_missed
from onnxprune.cli.options import DATA, DataOptions, ViewOptions, option
from onnxprune.cli.settings import import_from_here
from onnxprune.cli.stdout import deliver, working
from onnxprune.errors import UsageError

MEASURE = "What to measure"
BOUND = "Bounds: what the models have to hold"


@dataclass(frozen=True)
class MeasureOptions:
    """What is measured, and beside what."""

    metric: Annotated[
        list[str] | None,
        option(
            MEASURE,
            "--metric",
            metavar="NAME",
            help="accuracy, top5, balanced_accuracy, log_loss (these need labels), agreement, sqnr (these "
            "compare with a teacher); by default all but top5 that the data allow. Repeatable.",
        ),
    ] = None
    output_name: Annotated[
        str | None,
        option(
            MEASURE,
            "--output-name",
            metavar="NAME",
            help="The output with the scores of the classes; by default the first that can be one.",
        ),
    ] = None
    threads: Annotated[
        int | None, option(MEASURE, "--threads", metavar="N", help="Threads of ONNX Runtime.")
    ] = None


@dataclass(frozen=True)
class EvaluateOptions(MeasureOptions):
    """The same, and the model to compare with."""

    teacher: Annotated[
        Path | None,
        option(
            MEASURE,
            "--teacher",
            metavar="MODEL",
            help="Model to compare outputs with; by default the first where several are given.",
        ),
    ] = None
    at_least: Annotated[
        list[str] | None,
        option(
            BOUND,
            "--at-least",
            metavar="METRIC=VALUE",
            help="Exit with 1 where a model has less: accuracy=0.91 or accuracy=91%. Repeatable.",
        ),
    ] = None
    at_most: Annotated[
        list[str] | None,
        option(
            BOUND,
            "--at-most",
            metavar="METRIC=VALUE",
            help="Exit with 1 where a model has more, such as log_loss=0.3. Repeatable.",
        ),
    ] = None
    max_drop: Annotated[
        str | None,
        option(
            BOUND,
            "--max-drop",
            metavar="POINTS",
            help="Exit with 1 where the accuracy (agreement without labels, or the first --metric) of a "
            "model is more points below that of the first.",
        ),
    ] = None
    seed: Annotated[
        int, option(DATA, "--seed", metavar="N", help="Of the choice of samples (default 0).")
    ] = 0


def evaluate(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="Models to measure on the same samples.")
    ],
    data: DataOptions,
    own: EvaluateOptions,
    view: ViewOptions,
) -> int:
    """Measure models on data: accuracy with its confidence interval, and how far outputs agree.

    Without labels, models are compared with a teacher: share of samples with the same choice, and the
    signal-to-noise ratio of the outputs. Of several models the first is the teacher.

    Exit codes: 0 done, 1 a bound was missed, 2 error.
    """
    from onnxprune.api.bounds import check_drop, missed_metrics, parse_bounds
    from onnxprune.api.evaluation import compare
    from onnxprune.plan.drop import parse_drop

    source = needed_data(data)
    bounds = parse_bounds(own.at_least or (), own.at_most or ())
    drop = None if own.max_drop is None else parse_drop(own.max_drop)
    check_drop(drop, len(models), taught=own.teacher is not None)
    names = list(dict.fromkeys((*(own.metric or ()), *(bound.metric for bound in bounds))))
    with working(show=not (view.json or view.quiet), timed=view.verbose > 0) as step:
        found = compare(
            models,
            source,
            preprocess=data.preprocess,
            samples=data.samples,
            metrics=names if own.metric else None,
            also=names,
            teacher=own.teacher,
            output=own.output_name,
            seed=own.seed,
            threads=own.threads,
            progress=step,
            advance=step.advance,
        ).to_dict()
    missed = list(missed_metrics(found, bounds, drop, (own.metric or [""])[0]))
    found["missed"] = missed
    if view.json:
        from onnxprune.report import dumps

        deliver(dumps(found))
    elif not view.quiet:
        from rich.console import Console

        from onnxprune.report.evaluation_terminal import show_comparison

        console = Console()
        with console.capture() as text:
            show_comparison(found, console)
        deliver(text.get())
    return told_missed(missed)


def needed_data(data: DataOptions) -> str:
    """What ``--data`` says.

    Raises:
        UsageError: it says nothing.
    """
    if data.data is None:
        raise UsageError(
            "The samples to measure on are missing.",
            hint="Name them with --data: an .npz file, a folder of images, or package.module:function.",
        )
    if ":" in data.data:
        import_from_here()
    return data.data
