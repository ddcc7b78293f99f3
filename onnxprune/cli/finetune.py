"""``onnxprune finetune``: train a model, on labels or on what another one says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from onnxprune.cli.errors import DONE
from onnxprune.cli.finetune_options import TRAIN, RunOptions, TrainOptions, train_settings
from onnxprune.cli.options import DATA, OUTPUT, ModelPath, ViewOptions, option
from onnxprune.cli.settings import import_from_here
from onnxprune.cli.stdout import deliver, working
from onnxprune.cli.training_settings import resumable
from onnxprune.errors import Stopped, UsageError


@dataclass(frozen=True)
class TrainDataOptions:
    """Samples to train on."""

    train_data: Annotated[
        str | None,
        option(
            DATA,
            "--train-data",
            metavar="SRC",
            help="Samples to train on: an .npz file (FILE.npz:x_train,y_train names its arrays), a folder of "
            "images, or package.module:function. Never the test data.",
        ),
    ] = None
    preprocess: Annotated[
        str | None,
        option(
            DATA,
            "--preprocess",
            metavar="SPEC",
            help="What makes stored samples into inputs, as for pruning: 'scale=1/255,mean=0.286,std=0.353', "
            "imagenet, unit, signed, raw, or a .toml file.",
        ),
    ] = None
    samples: Annotated[
        int | None,
        option(DATA, "--samples", metavar="N", help="How many to take, chosen by the seed (default all)."),
    ] = None


@dataclass(frozen=True)
class FinetuneOptions(TrainOptions):
    """How long, and by which numbers."""

    epochs: Annotated[
        float | None,
        option(TRAIN, "--epochs", metavar="N", help="Passes over the training data (default 10)."),
    ] = None
    seed: Annotated[
        int | None, option(TRAIN, "--seed", metavar="N", help="Of every random choice (default 0).")
    ] = None
    threads: Annotated[int | None, option(TRAIN, "--threads", metavar="N", help="Threads of torch.")] = None


@dataclass(frozen=True)
class ResultOptions:
    """What is written."""

    output: Annotated[
        Path | None,
        option(
            OUTPUT,
            "-o",
            "--output",
            metavar="PATH",
            help="Where to write; by default <name>.finetuned.onnx beside the model.",
        ),
    ] = None
    report: Annotated[
        Path | None,
        option(OUTPUT, "--report", metavar="FILE.json", help="Write the account of the run as JSON."),
    ] = None


def finetune(
    model: ModelPath,
    data: TrainDataOptions,
    own: FinetuneOptions,
    run: RunOptions,
    result: ResultOptions,
    view: ViewOptions,
) -> int:
    """Train a model through torch and write the weights back into the same graph.

    It learns from labels, from a teacher (the model before pruning), or from both. The epoch that does best
    on samples held back is kept; where none is better than the start, the start is. Ctrl-C and kill are safe:
    the same command goes on where it stopped.

    Under torchrun (torchrun --nproc-per-node N -m onnxprune finetune ...) the processes share each batch.

    Exit codes: 0 done, 2 error, 130 interrupted, 143 or 129 ended by SIGTERM or SIGHUP.
    """
    from onnxprune.api.finetuning import clear_run_folder, default_run_folder
    from onnxprune.api.finetuning import finetune as finetune_model
    from onnxprune.report.files import check_reports
    from onnxprune.training.launch import leads

    goal = result.output or model.with_name(f"{model.stem}.finetuned.onnx")
    reports = [] if result.report is None else [result.report]
    check_reports(reports, [goal], (".json",))
    if run.tensorboard and run.run_folder is None:
        raise UsageError("--tensorboard needs a folder that stays.", hint="Name one with --run-folder.")
    folder = run.run_folder or default_run_folder(goal)
    told = leads() and not (view.json or view.quiet)
    kept = folder if leads() else None
    with working(show=told, timed=leads() and view.verbose > 0) as step, resumable(kept):
        found = finetune_model(
            model,
            _needed(data.train_data, own.validation_data),
            teacher=own.teacher,
            preprocess=data.preprocess,
            samples=data.samples,
            validation_data=own.validation_data,
            output=goal,
            run_folder=folder,
            restart=run.restart,
            tensorboard=run.tensorboard,
            progress=step,
            **train_settings(own, save_every=run.save_every),
        )
        if found.interrupted:
            raise Stopped(found.stopped_by)
    if not leads():
        return DONE
    if run.run_folder is None:
        clear_run_folder(folder)
    _tell(found.to_dict(), reports, view)
    return DONE


def _tell(report: Mapping[str, Any], paths: list[Path], view: ViewOptions) -> None:
    """Write and print the account."""
    from onnxprune.report import dumps
    from onnxprune.report.files import write_bytes

    for path in paths:
        write_bytes(dumps(report).encode(), path)
    if view.json:
        deliver(dumps(report))
    elif not view.quiet:
        from rich.console import Console

        from onnxprune.report.training_terminal import show_training

        console = Console()
        with console.capture() as text:
            show_training(report, console)
        deliver(text.get())


def _needed(train_data: str | None, validation_data: str | None) -> str:
    """What ``--train-data`` says.

    Raises:
        UsageError: it says nothing.
    """
    if train_data is None:
        raise UsageError(
            "The samples to train on are missing.",
            hint="Name them with --train-data: an .npz file, a folder of images, or package.module:function.",
        )
    if any(":" in (spec or "") for spec in (train_data, validation_data)):
        import_from_here()
    return train_data
