"""Models of other frameworks as ONNX files."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import file_digest
from pathlib import Path

from onnxprune.api.planning import Step
from onnxprune.api.sources import Source
from onnxprune.errors import UsageError
from onnxprune.frontends import convert as convert_source
from onnxprune.frontends import is_foreign
from onnxprune.model import Model, save_model
from onnxprune.model.naming import quoted


def convert(
    source: Source,
    *,
    opset: int | None = None,
    example_inputs: object = None,
    output: str | os.PathLike[str] | None = None,
    progress: Step | None = None,
) -> Model:
    """Convert a model of another framework to ONNX, and write it where that is asked for.

    Args:
        source: path of a ``.keras``, ``.h5``, ``.tflite`` or ``.pt2`` file or of a SavedModel folder, a
            Keras model, a ``torch.nn.Module`` or a ``torch.export`` program.
        opset: ONNX operator set, None for what suits the exporter.
        example_inputs: what a model that does not declare its inputs is called with.
        output: where to write; nothing is written without it.
        progress: called with the name of each step as it begins.

    Returns:
        The model as ``load_model`` would read it.

    Raises:
        InputError: it cannot be read or converted, or is refused as unsafe.
        MissingExtraError: a package is missing that the conversion needs.
        OutputError: the output cannot be written.
        UsageError: it is ONNX already, or an argument makes no sense.
    """
    step = progress or (lambda _: None)
    if not is_foreign(source) and _exists(source):
        raise UsageError(
            f"{_name(source)} needs no conversion.",
            hint="ONNX models are pruned as they are: onnxprune MODEL --ratio 0.4",
        )
    step("converting")
    model = convert_source(source, opset=opset, example_inputs=example_inputs)
    if output is None:
        return model
    step("writing")
    path = Path(output)
    nbytes = save_model(model, path)
    with path.open("rb") as file:
        return replace(model, path=path, nbytes=nbytes, sha256=file_digest(file, "sha256").hexdigest())


def _exists(source: Source) -> bool:
    """Whether there is something; what is missing is told by whoever opens it."""
    return not isinstance(source, str | os.PathLike) or Path(source).is_file()


def _name(source: Source) -> str:
    return quoted(source) if isinstance(source, str | os.PathLike) else f"A {type(source).__name__}"
