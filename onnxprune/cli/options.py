"""Options that verbs share, in the groups that ``--help`` shows them in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

TARGET = "Target (give one)"
CRITERION = "Criterion: which channels matter"
WHERE = "Scope: where to prune"
DATA = "Data"
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
    latency: Annotated[
        str | None,
        option(
            TARGET,
            "--latency",
            metavar="0.5x|3ms",
            help="Let a run in ONNX Runtime on this machine take at most so long: a share of the source, or "
            "a time. Measured layer by layer first, then as a whole.",
        ),
    ] = None
    speedup: Annotated[
        str | None,
        option(
            TARGET, "--speedup", metavar="2x", help="Make it so many times as fast: 2x is --latency 0.5x."
        ),
    ] = None


@dataclass(frozen=True)
class CriterionOptions:
    """What makes a channel important."""

    criterion: Annotated[
        str | None,
        option(
            CRITERION,
            "--criterion",
            metavar="NAME",
            help="From the weights: l1 (default without --data), l2, linf, bn_scale, lamp, geometric_median, "
            "cosine, random. With --data: obs (default then), entropy, apoz, mean, variance, rank, wanda, "
            "correlation; through torch self_fisher, jacobian and, on labels, taylor, fisher. Or a function "
            "of your own as package.module:function. A number may follow, as in entropy:0.3, which removes "
            "what is below.",
        ),
    ] = None
    then: Annotated[
        list[str] | None,
        option(
            CRITERION,
            "--then",
            metavar="NAME",
            help="Another criterion, which looks only at the channels that are left: --criterion entropy:0.3 "
            "--then correlation:0.8. Repeatable.",
        ),
    ] = None
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
        str | None,
        option(
            WHERE,
            "--scope",
            metavar="WHERE",
            help="Rank channels within each layer (local, default), over the whole model (global, default "
            "for a budget by obs), or over layers of the same structure (isomorphic).",
        ),
    ] = None
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
class DataOptions:
    """Samples that the model is measured on."""

    data: Annotated[
        str | None,
        option(
            DATA,
            "--data",
            metavar="SRC",
            help="Samples to measure the model on: an .npz file (FILE.npz:x_test,y_test names its arrays), a "
            "folder of images, or package.module:function.",
        ),
    ] = None
    preprocess: Annotated[
        str | None,
        option(
            DATA,
            "--preprocess",
            metavar="SPEC",
            help="What makes stored samples into inputs: 'scale=1/255,mean=0.485;0.456;0.406,"
            "std=0.229;0.224;0.225', imagenet (which resizes too), unit, signed, raw, or a .toml file.",
        ),
    ] = None
    samples: Annotated[
        int | None,
        option(
            DATA,
            "--samples",
            metavar="N",
            help="How many to take, chosen by the seed: 512 by default, all where the model is evaluated.",
        ),
    ] = None


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
    bench: Annotated[
        bool,
        flag(
            CHECK,
            "--bench",
            help="Measure the result against the source in ONNX Runtime; exit with 1 where it is slower.",
        ),
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
            help="Write the account of the run: .html (a page to look at), .md (text) or .json (complete). "
            "Repeatable.",
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
