"""``onnxprune quantize``: a smaller copy in narrower numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from onnxprune.cli.errors import DONE
from onnxprune.cli.options import OUTPUT, DataOptions, ModelPath, ViewOptions, option
from onnxprune.cli.quantize_options import QUANTIZE, RangesOptions
from onnxprune.cli.settings import import_from_here
from onnxprune.cli.stdout import deliver, working


@dataclass(frozen=True)
class CopyOptions(RangesOptions):
    """What is made, and how it is judged."""

    to: Annotated[
        str,
        option(QUANTIZE, "--to", metavar="int8|fp16", help="int8 (default), or fp16, which halves the file."),
    ] = "int8"
    holdout: Annotated[
        int | None,
        option(
            QUANTIZE,
            "--holdout",
            metavar="N",
            help="Samples held back to judge the result by, besides --samples (default 1,000; 0 for none).",
        ),
    ] = None
    seed: Annotated[
        int, option(QUANTIZE, "--seed", metavar="N", help="Of the choice of samples (default 0).")
    ] = 0
    threads: Annotated[
        int | None, option(QUANTIZE, "--threads", metavar="N", help="Threads of ONNX Runtime.")
    ] = None
    output: Annotated[
        Path | None,
        option(
            OUTPUT,
            "-o",
            "--output",
            metavar="PATH",
            help="Where to write; by default <name>.int8.onnx beside the model.",
        ),
    ] = None


def quantize(model: ModelPath, data: DataOptions, own: CopyOptions, view: ViewOptions) -> int:
    """Quantise a model with the tools of ONNX Runtime.

    int8 with samples is static, the form that is fast on processors; without samples it is dynamic, for
    models of matrix products. With samples the result is compared with the model on others of them.

    Exit codes: 0 done, 2 error.
    """
    from onnxprune.api.quantizing import quantize as quantize_source

    if ":" in (data.data or ""):
        import_from_here()
    goal = own.output or model.with_name(f"{model.stem}.{own.to}.onnx")
    with working(show=not (view.json or view.quiet), timed=view.verbose > 0) as step:
        found = quantize_source(
            model,
            to=own.to,
            data=data.data,
            preprocess=data.preprocess,
            samples=data.samples,
            holdout=own.holdout,
            ranges=own.ranges,
            output=goal,
            seed=own.seed,
            threads=own.threads,
            progress=step,
        )
    if view.json:
        from onnxprune.report import dumps

        deliver(dumps(found.to_dict()))
    elif not view.quiet:
        from rich.console import Console

        from onnxprune.report.quantization import show_quantization

        console = Console()
        with console.capture() as text:
            show_quantization(found.to_dict(), console)
        deliver(text.get())
    return DONE
