"""``onnxprune verify``: check a pruned model against its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprune.cli.errors import DONE, MISSED
from onnxprune.cli.options import CHECK, ViewOptions, option
from onnxprune.cli.stdout import deliver, working

if TYPE_CHECKING:
    from onnxprune.api import VerifyResult


@dataclass(frozen=True)
class RunOptions:
    """How the models are run."""

    seed: Annotated[int, option(CHECK, "--seed", metavar="N", help="Of the random inputs (default 0).")] = 0
    threads: Annotated[
        int | None, option(CHECK, "--threads", metavar="N", help="Threads of ONNX Runtime.")
    ] = None


def verify(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The model before pruning.")],
    pruned: Annotated[Path, typer.Argument(metavar="PRUNED", help="The model after it.")],
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="The .json report of that run.")],
    run: RunOptions,
    view: ViewOptions,
) -> int:
    """Check a pruned model against its source and the report of the run, and nothing else.

    The source is masked as the report's cuts say; the pruned model must hold the same values and
    compute the same outputs on random inputs.

    Exit codes: 0 it holds, 1 it does not, 2 the files cannot be used.
    """
    from onnxprune import api

    with working(show=not (view.json or view.quiet), timed=view.verbose > 0) as step:
        result = api.verify(source, pruned, report, seed=run.seed, threads=run.threads, progress=step)
    if view.json:
        from onnxprune.report import dumps

        deliver(dumps(result.to_dict()))
    elif not view.quiet:
        _show(result)
    return DONE if result.passed else MISSED


def _show(result: VerifyResult) -> None:
    from rich.console import Console

    from onnxprune.report.terminal import show_verification

    console = Console()
    with console.capture() as text:
        show_verification(result.to_dict(), console)
    deliver(text.get())
