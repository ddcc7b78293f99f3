"""``onnxprune sensitivity``: what happens to a metric when each layer alone is pruned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from onnxprune.cli.errors import DONE
from onnxprune.cli.evaluate import MEASURE, needed_data
from onnxprune.cli.options import (
    OUTPUT,
    WHERE,
    CheckOptions,
    CriterionOptions,
    DataOptions,
    ModelPath,
    ScopeOptions,
    TargetOptions,
    ViewOptions,
    option,
)
from onnxprune.cli.settings import cache_folder, settings
from onnxprune.cli.stdout import deliver, working

if TYPE_CHECKING:
    from onnxprune.sensitivity import Sensitivity

REPORTS = (".json", ".md")


@dataclass(frozen=True)
class ScanOptions:
    """What is scanned, and what is measured."""

    ratios: Annotated[
        str,
        option(
            MEASURE,
            "--ratios",
            metavar="R,...",
            help="Shares of its channels that each layer loses (default 0.1,0.25,0.5,0.75,0.9).",
        ),
    ] = "0.1,0.25,0.5,0.75,0.9"
    metric: Annotated[
        str | None,
        option(
            MEASURE,
            "--metric",
            metavar="NAME",
            help="What is shown: accuracy (default), top5, balanced_accuracy, log_loss; without labels "
            "agreement with the whole model (default), or sqnr.",
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
    cache: Annotated[
        str | None,
        option(
            MEASURE,
            "--cache",
            metavar="FOLDER|off",
            help="Where figures are kept, so that a scan that was stopped goes on where it was; by default "
            "the user's cache folder.",
        ),
    ] = None
    include: Annotated[
        list[str] | None,
        option(WHERE, "--include", metavar="GLOB", help="Scan only layers whose name or weight matches."),
    ] = None
    exclude: Annotated[
        list[str] | None,
        option(WHERE, "--exclude", metavar="GLOB", help="Leave layers out whose name or weight matches."),
    ] = None
    granularity: Annotated[
        str,
        option(
            WHERE,
            "--granularity",
            metavar="inner|outer",
            help="Which factor of an axis goes, as for pruning.",
        ),
    ] = "inner"
    seed: Annotated[int, option(WHERE, "--seed", metavar="N", help="Of every random choice (default 0).")] = 0


@dataclass(frozen=True)
class ScanFiles:
    """What is written."""

    plot: Annotated[
        list[Path] | None,
        option(OUTPUT, "--plot", metavar="FILE", help="Draw the curves: .png, .svg or .pdf. Repeatable."),
    ] = None
    report: Annotated[
        list[Path] | None,
        option(OUTPUT, "--report", metavar="FILE", help="Write the result: .json or .md. Repeatable."),
    ] = None


def sensitivity(
    model: ModelPath,
    data: DataOptions,
    criterion: CriterionOptions,
    own: ScanOptions,
    files: ScanFiles,
    view: ViewOptions,
) -> int:
    """Show how a metric falls when each layer alone loses a share of its channels.

    Layers that can only lose channels together are one row. With labels the accuracy is shown, without
    them the share of samples on which the choice stays that of the whole model. 2,000 samples are
    taken by default.

    Exit codes: 0 done, 2 error, 130 interrupted; the same command then goes on behind the last layer.
    """
    from onnxprune.api.scanning import ScanSettings, scan_model

    needed_data(data)
    with working(show=not (view.json or view.quiet), timed=view.verbose > 0) as step:
        _check(model, files)
        chosen = settings(
            TargetOptions(ratio="0.5"),
            criterion if criterion.criterion else replace(criterion, criterion="l1"),
            ScopeOptions(
                include=own.include, exclude=own.exclude, granularity=own.granularity, seed=own.seed
            ),
            data,
            CheckOptions(threads=own.threads),
        )
        ratios = tuple(own.ratios.split(","))
        scan = ScanSettings(ratios, own.metric, own.output_name, cache_folder(own.cache))
        found = scan_model(model, chosen, scan, progress=step, advance=step.advance)
        _write(found, files)
    _show(found, files, view)
    return DONE


def _check(model: Path, files: ScanFiles) -> None:
    """Refuse files that could not be written, before the scan takes its time."""
    from onnxprune.pictures import FORMS, check_plots
    from onnxprune.report.files import check_reports

    check_reports(files.report or (), (model, *(files.plot or ())), REPORTS)
    check_reports(files.plot or (), (model,), FORMS)
    if files.plot:
        check_plots()


def _write(found: Sensitivity, files: ScanFiles) -> None:
    from onnxprune.report import dumps
    from onnxprune.report.files import write_bytes
    from onnxprune.report.sensitivity_terminal import markdown_of, row_name
    from onnxprune.sensitivity.plot import draw

    for path in files.report or ():
        text = dumps(found.to_dict()) if path.suffix.lower() == ".json" else markdown_of(found)
        write_bytes(text.encode(), path)
    for path in files.plot or ():
        write_bytes(draw(found, path, row_name), path)


def _show(found: Sensitivity, files: ScanFiles, view: ViewOptions) -> None:
    if view.json:
        from onnxprune.report import dumps

        deliver(dumps(found.to_dict()))
    elif not view.quiet:
        from rich.console import Console

        from onnxprune.report.sensitivity_terminal import show_sensitivity

        console = Console()
        with console.capture() as text:
            show_sensitivity(
                found, console, files=[str(p) for p in (*(files.report or ()), *(files.plot or ()))]
            )
        deliver(text.get())
