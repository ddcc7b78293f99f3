"""Options that verbs share, in the groups that ``--help`` shows them in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

TARGET = "Target (give one)"
CRITERION = "Criterion: which channels matter"
WHERE = "Scope: where to prune"
CHECK = "Checks"
OUTPUT = "Output"

ModelPath = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="The .onnx file to read, or a .keras, .h5, .tflite or .pt2 file or SavedModel folder, which is "
        "converted first; it is never changed.",
    ),
]


def option(panel: str, *names: str, metavar: str | None = None, help: str, **more: Any) -> Any:
    """An option in a panel of the help; its default is shown where its text does not say it."""
    more.setdefault("show_default", False)
    return typer.Option(*names, metavar=metavar, rich_help_panel=panel, help=help, **more)


def flag(panel: str, *names: str, help: str, **more: Any) -> Any:
    """An option that takes no value."""
    return option(panel, *names, metavar="", help=help, **more)


def _say_version(asked: bool) -> None:
    if asked:
        from onnxprune import __version__

        typer.echo(f"onnxprune {__version__}")
        raise typer.Exit


@dataclass(frozen=True)
class TargetOptions:
    """How much to remove."""

    ratio: Annotated[
        str | None,
        option(
            TARGET,
            "--ratio",
            metavar="R",
            help="Remove the share R of the filters of every prunable layer, 0 to 1; 0.4 is a usual start. "
            "0 removes only channels that nothing depends on.",
        ),
    ] = None
    macs: Annotated[
        str | None,
        option(
            TARGET,
            "--macs",
            metavar="0.5x|2G",
            help="Keep at most so many multiply-accumulates: a share of the source, or a number.",
        ),
    ] = None
    params: Annotated[
        str | None, option(TARGET, "--params", metavar="0.5x|1M", help="Keep at most so many parameters.")
    ] = None
    size: Annotated[
        str | None, option(TARGET, "--size", metavar="0.5x|10MB", help="Make the file at most so large.")
    ] = None


@dataclass(frozen=True)
class CriterionOptions:
    """What makes a channel important."""

    criterion: Annotated[
        str,
        option(
            CRITERION,
            "--criterion",
            metavar="NAME",
            help="l1 (default), l2, linf, bn_scale, lamp, random, or a function of your own as "
            "package.module:function.",
        ),
    ] = "l1"
    reduction: Annotated[
        str | None,
        option(
            CRITERION,
            "--reduction",
            metavar="NAME",
            help="How the layers that share a channel vote: mean (default), max, sum, prod, first.",
        ),
    ] = None
    normalizer: Annotated[
        str | None,
        option(
            CRITERION,
            "--normalizer",
            metavar="NAME",
            help="Scale of the scores within a layer: none, mean, max, sum, standardize, gaussian. "
            "Default: mean where layers are compared, else none.",
        ),
    ] = None
    scoring: Annotated[
        str,
        option(
            CRITERION,
            "--scoring",
            metavar="HOW",
            help="independent (default), or greedy: leave weights out that read channels already removed.",
        ),
    ] = "independent"


@dataclass(frozen=True)
class ScopeOptions:
    """Where channels may go, and how many at a time."""

    scope: Annotated[
        str,
        option(
            WHERE,
            "--scope",
            metavar="WHERE",
            help="Rank channels within each layer (local, default), over the whole model (global), or over "
            "layers of the same structure (isomorphic).",
        ),
    ] = "local"
    include: Annotated[
        list[str] | None,
        option(WHERE, "--include", metavar="GLOB", help="Prune only layers whose name or weight matches."),
    ] = None
    exclude: Annotated[
        list[str] | None,
        option(WHERE, "--exclude", metavar="GLOB", help="Leave layers whole whose name or weight matches."),
    ] = None
    layer_ratio: Annotated[
        list[str] | None,
        option(WHERE, "--layer-ratio", metavar="GLOB=R", help="Another ratio for the layers that match."),
    ] = None
    granularity: Annotated[
        str,
        option(
            WHERE,
            "--granularity",
            metavar="inner|outer",
            help="Remove dimensions within attention heads and channels within convolution groups (inner, "
            "default), or whole heads and whole groups (outer).",
        ),
    ] = "inner"
    align: Annotated[
        str,
        option(
            WHERE,
            "--align",
            metavar="auto|off|N",
            help="Keep channel counts that are multiples of N, as convolutions run fast only there. auto "
            "(default): N as this processor needs it, the MACs as without.",
        ),
    ] = "auto"
    seed: Annotated[int, option(WHERE, "--seed", metavar="N", help="Of every random choice (default 0).")] = 0


@dataclass(frozen=True)
class CheckOptions:
    """What has to hold of the result."""

    verify: Annotated[
        bool,
        flag(
            CHECK,
            "--verify/--no-verify",
            help="Compare the result with the masked source on random inputs before it is written; if they "
            "differ nothing is written. On by default.",
        ),
    ] = True
    strict: Annotated[
        bool,
        flag(CHECK, "--strict", help="Exit with 1 where a layer stays untouched that nobody excluded."),
    ] = False
    threads: Annotated[
        int | None, option(CHECK, "--threads", metavar="N", help="Threads of ONNX Runtime.")
    ] = None


@dataclass(frozen=True)
class WriteOptions:
    """What is written."""

    output: Annotated[
        Path | None,
        option(
            OUTPUT,
            "-o",
            "--output",
            metavar="PATH",
            help="Where to write; by default <name>.pruned.onnx beside the model.",
        ),
    ] = None
    report: Annotated[
        list[Path] | None,
        option(
            OUTPUT,
            "--report",
            metavar="FILE",
            help="Write the account of the run: .json (complete) or .md (to read). Repeatable.",
        ),
    ] = None
    dry_run: Annotated[bool, flag(OUTPUT, "--dry-run", help="Do everything but write the model.")] = False


@dataclass(frozen=True)
class ViewOptions:
    """How much is said, and in which form."""

    json: Annotated[
        bool, flag(OUTPUT, "--json", help="Print one JSON object instead of text, and nothing else.")
    ] = False
    verbose: Annotated[
        int,
        flag(
            OUTPUT,
            "-v",
            "--verbose",
            count=True,
            help="Show every layer, the time of each step, and where an error came from.",
        ),
    ] = 0
    quiet: Annotated[bool, flag(OUTPUT, "-q", "--quiet", help="Print nothing but errors.")] = False


@dataclass(frozen=True)
class OutputOptions(ViewOptions, WriteOptions):
    """What is written, then how it is told: dataclasses list their last base first."""

    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_say_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False
