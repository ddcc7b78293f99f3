"""``onnxprune bench``: what models cost to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from onnxprune.cli.errors import told_missed
from onnxprune.cli.options import ViewOptions, flag, option
from onnxprune.cli.stdout import deliver, working
from onnxprune.errors import UsageError

HOW = "How to measure"
BOUND = "Bounds: what the models have to hold"


@dataclass(frozen=True)
class BenchOptions:
    """What is measured, and for how long."""

    threads: Annotated[
        str,
        option(
            HOW,
            "--threads",
            metavar="N,...",
            help="Threads of ONNX Runtime: 1 (default), or several as 1,2,4.",
        ),
    ] = "1"
    batch: Annotated[
        str | None,
        option(
            HOW,
            "--batch",
            metavar="N,...",
            help="Batch sizes, several as 1,8; by default that of the model, or 1 where it is open.",
        ),
    ] = None
    shape: Annotated[
        list[str] | None,
        option(
            HOW,
            "--shape",
            metavar="NAME=1x3x640x640",
            help="Shape of an input whose sizes are open. Repeatable.",
        ),
    ] = None
    provider: Annotated[
        list[str] | None,
        option(
            HOW,
            "--provider",
            metavar="NAME",
            help="Execution provider of ONNX Runtime: cpu (default), cuda, openvino, ... where installed. "
            "Repeatable.",
        ),
    ] = None
    seconds: Annotated[
        float, option(HOW, "--seconds", metavar="S", help="Time for all timed runs together (default 10).")
    ] = 10.0
    profile: Annotated[
        bool, flag(HOW, "--profile", help="Show where the time goes: by operator, and the slowest nodes.")
    ] = False
    at_most: Annotated[
        str | None,
        option(
            BOUND,
            "--at-most",
            metavar="0.8x|3ms",
            help="Exit with 1 where a model takes longer than this share of the first, or than this time, at "
            "any setting; noise aside.",
        ),
    ] = None
    max_size: Annotated[
        str | None,
        option(
            BOUND,
            "--max-size",
            metavar="0.5x|10MB",
            help="Exit with 1 where a file is larger than this share of the first, or than this.",
        ),
    ] = None
    seed: Annotated[
        int,
        option(HOW, "--seed", metavar="N", help="Of the inputs and the order of runs (default 0)."),
    ] = 0


def bench(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="Models; the others are compared with the first."),
    ],
    how: BenchOptions,
    view: ViewOptions,
) -> int:
    """Measure latency, throughput, memory and load time in ONNX Runtime.

    Several models run in turns, so that a change in the machine's pace meets all of them, and each is
    compared with the first. A difference that the measurement cannot tell from chance is called noise.

    Exit codes: 0 done, 1 a bound was missed, 2 error.
    """
    from onnxprune.api.benchmarking import measure_models
    from onnxprune.api.bounds import check_relative, missed_costs, parse_at_most, parse_max_size
    from onnxprune.runtime.feeds import parse_shapes
    from onnxprune.runtime.results import BenchSettings

    latency, size = parse_at_most(how.at_most), parse_max_size(how.max_size)
    check_relative(len(models), latency, size)
    settings = BenchSettings(
        threads=numbers("--threads", how.threads),
        batch=() if how.batch is None else numbers("--batch", how.batch),
        providers=tuple(how.provider or ("cpu",)),
        seconds=how.seconds,
        shapes=parse_shapes(how.shape or ()),
        profile=how.profile,
        seed=how.seed,
    )
    with working(show=not (view.json or view.quiet), timed=view.verbose > 0) as step:
        found = measure_models(models, settings, progress=step, advance=step.advance).to_dict()
    missed = list(missed_costs(found, latency, size))
    found["missed"] = missed
    if view.json:
        from onnxprune.report import dumps

        deliver(dumps(found))
    elif not view.quiet:
        from rich.console import Console

        from onnxprune.report.bench_terminal import show_benchmark

        console = Console()
        with console.capture() as text:
            show_benchmark(found, console, verbose=view.verbose)
        deliver(text.get())
    return told_missed(missed)


def numbers(name: str, text: str) -> tuple[int, ...]:
    """Several whole numbers, separated by commas.

    Raises:
        UsageError: anything else.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"{name} {text} is no list of numbers.", hint=f"Write it as {name} 1,2,4.")
    return tuple(int(part) for part in parts)
