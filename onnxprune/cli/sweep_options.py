"""Options of ``onnxprune sweep``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from onnxprune.cli.options import CHECK, DATA, OUTPUT, WHERE, flag, option

SPACE = "What to try: lists, of which every combination is tried"
SEARCH = "How to search"


@dataclass(frozen=True)
class SpaceOptions:
    """Lists of ways to prune."""

    ratios: Annotated[
        str | None,
        option(
            SPACE,
            "--ratios",
            "--ratio",
            metavar="R,...",
            help="Shares of the filters that go, such as 0.2,0.4,0.6 (default without --macs-list); with "
            "--trials also a span, such as 0.1:0.7.",
        ),
    ] = None
    macs_list: Annotated[
        str | None,
        option(
            SPACE, "--macs-list", metavar="0.6x,...", help="Budgets of multiply-accumulates, as for --macs."
        ),
    ] = None
    criteria: Annotated[
        str | None,
        option(SPACE, "--criteria", metavar="NAME,...", help="Criteria, as for --criterion (default obs)."),
    ] = None
    repairs: Annotated[
        str,
        option(
            SPACE,
            "--repairs",
            metavar="NAME,...",
            help="Repairs, as for --repair, such as none,lstsq (default auto).",
        ),
    ] = "auto"
    quantize: Annotated[
        str | None,
        option(
            SPACE,
            "--quantize",
            metavar="KIND,...",
            help="none, int8, fp16 (default none; with --layers all three).",
        ),
    ] = None
    layers: Annotated[
        str | None,
        option(
            SPACE,
            "--layers",
            metavar="GLOB,...",
            help="Prune every combination of these layers, and nothing else: a table with size and accuracy "
            "in float32, float16 and int8.",
        ),
    ] = None


@dataclass(frozen=True)
class SearchOptions:
    """How many are tried, by whom, and where that is kept."""

    trials: Annotated[
        int | None,
        option(
            SEARCH,
            "--trials",
            metavar="N",
            help="Try N ways that a sampler chooses, instead of every combination.",
        ),
    ] = None
    sampler: Annotated[
        str | None,
        option(
            SEARCH,
            "--sampler",
            metavar="NAME",
            help="grid (default), or with --trials tpe (default then), nsga2, random; of Optuna.",
        ),
    ] = None
    storage: Annotated[
        str | None,
        option(
            SEARCH,
            "--storage",
            metavar="URL|FILE",
            help="Where trials are kept and shared: sqlite:///study.db, another database, or the path of a "
            "journal; by default a journal in the folder.",
        ),
    ] = None


@dataclass(frozen=True)
class JudgeOptions:
    """What results are judged by."""

    holdout: Annotated[
        int | None,
        option(
            DATA,
            "--holdout",
            metavar="N",
            help="Samples held back to judge results by, beside those of --samples: by default 200 to 1,000 "
            "by the size of the model.",
        ),
    ] = None
    metric: Annotated[
        str | None,
        option(
            DATA,
            "--metric",
            metavar="NAME",
            help="Quality: accuracy (default), top5, balanced_accuracy, log_loss; without labels agreement "
            "with the source (default), sqnr.",
        ),
    ] = None
    output_name: Annotated[
        str | None,
        option(
            DATA,
            "--output-name",
            metavar="NAME",
            help="The output with the scores of the classes; by default the first that can be one.",
        ),
    ] = None
    ranges: Annotated[
        str,
        option(
            DATA,
            "--ranges",
            metavar="NAME",
            help="How int8 reads ranges: minmax (default), entropy, percentile.",
        ),
    ] = "minmax"
    latency: Annotated[
        bool,
        flag(
            CHECK,
            "--latency/--no-latency",
            help="Measure latency in ONNX Runtime, in turns with the source. On by default.",
        ),
    ] = True
    seconds: Annotated[
        float,
        option(
            CHECK,
            "--seconds",
            metavar="S",
            help="Time for the timed runs of each model and the source (default 2).",
        ),
    ] = 2.0
    threads: Annotated[
        int | None,
        option(
            CHECK,
            "--threads",
            metavar="N",
            help="Threads of ONNX Runtime; latency is measured with 1 by default.",
        ),
    ] = None


@dataclass(frozen=True)
class PlaceOptions:
    """Where channels may go."""

    scope: Annotated[
        str | None,
        option(WHERE, "--scope", metavar="WHERE", help="local, global or isomorphic, as for pruning."),
    ] = None
    include: Annotated[
        list[str] | None,
        option(WHERE, "--include", metavar="GLOB", help="Prune only layers whose name or weight matches."),
    ] = None
    exclude: Annotated[
        list[str] | None,
        option(WHERE, "--exclude", metavar="GLOB", help="Leave layers whole whose name or weight matches."),
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
    align: Annotated[
        str,
        option(WHERE, "--align", metavar="auto|off|N", help="Multiple of channel counts, as for pruning."),
    ] = "auto"
    seed: Annotated[int, option(WHERE, "--seed", metavar="N", help="Of every random choice (default 0).")] = 0


@dataclass(frozen=True)
class SweepFiles:
    """What is written."""

    output: Annotated[
        Path | None,
        option(
            OUTPUT,
            "-o",
            "--output",
            metavar="FOLDER",
            help="Folder of the models, the results and what is needed to go on; by default <name>.sweep "
            "beside the model.",
        ),
    ] = None
    report: Annotated[
        list[Path] | None,
        option(
            OUTPUT,
            "--report",
            metavar="FILE",
            help="Write the results once more: .html, .md, .json or .csv. Repeatable.",
        ),
    ] = None
    plot: Annotated[
        list[Path] | None,
        option(OUTPUT, "--plot", metavar="FILE", help="Draw the fronts: .png, .svg or .pdf. Repeatable."),
    ] = None
