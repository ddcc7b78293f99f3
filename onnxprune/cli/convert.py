"""``onnxprune convert``: a model of another framework as an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprune.cli.errors import DONE
from onnxprune.cli.options import OUTPUT, ViewOptions, option
from onnxprune.cli.stdout import deliver, working

if TYPE_CHECKING:
    from onnxprune.model import Model


@dataclass(frozen=True)
class ConvertOptions:
    """What is written, and where."""

    output: Annotated[
        Path | None,
        option(
            OUTPUT,
            "-o",
            "--output",
            metavar="PATH",
            help="Where to write; by default <name>.onnx beside the model.",
        ),
    ] = None
    opset: Annotated[
        int | None,
        option(
            OUTPUT,
            "--opset",
            metavar="N",
            help="ONNX operator set; by default 18 from TensorFlow, its highest, and 20 from torch.",
        ),
    ] = None


def convert(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A .keras, .h5, .tflite or .pt2 file, or a SavedModel folder."),
    ],
    options: ConvertOptions,
    view: ViewOptions,
) -> int:
    """Convert a model of Keras, TensorFlow or torch to ONNX, and do nothing else.

    Pruning converts by itself; this is for those who want to look at the ONNX file first. Files are
    loaded without running code that they hold: Lambda layers and pickles are refused.

    Exit codes: 0 done, 2 error.
    """
    from onnxprune.api import convert as convert_source

    goal = options.output or model.with_name(f"{model.stem}.onnx")
    with working(show=not (view.json or view.quiet), timed=view.verbose > 0) as step:
        written = convert_source(model, opset=options.opset, output=goal, progress=step)
    found = _account(model, written)
    if view.json:
        from onnxprune.report import dumps

        deliver(dumps(found))
    elif not view.quiet:
        from onnxprune.report.figures import printable

        size = f"{found['nodes']:,} nodes, {found['params']:,} parameters, {found['bytes']:,} bytes"
        deliver(printable(f"{goal}: {size}, opset {found['opset']}") + "\n")
    return DONE


def _account(source: Path, model: Model) -> dict[str, object]:
    from onnxprune.report.measure import parameters

    imports = {entry.domain or "ai.onnx": entry.version for entry in model.proto.opset_import}
    return {
        "source": str(source),
        "output": str(model.path),
        "bytes": model.nbytes,
        "sha256": model.sha256,
        "producer": f"{model.proto.producer_name} {model.proto.producer_version}".strip(),
        "opset": imports.get("ai.onnx"),
        "nodes": len(model.proto.graph.node),
        "params": parameters(model.constants),
    }
