"""Puts the bodies of local functions in place of their calls, where the rules can follow them."""

from __future__ import annotations

from dataclasses import replace

from onnx import inliner

from onnxprune.errors import InputError
from onnxprune.model.load import load_model
from onnxprune.model.model import Model
from onnxprune.model.naming import quoted


def inline_functions(model: Model) -> Model:
    """The model without local functions; the same object where it has none.

    Exporters of some years wrote every layer as a function of its own. Inlined, the graph computes
    the same from constants of the same names.

    Raises:
        InputError: the functions cannot be inlined.
    """
    if not model.proto.functions:
        return model
    try:
        whole = inliner.inline_local_functions(model.to_proto())
    except Exception as exc:  # onnx raises several kinds, none of them public
        where = "the model" if model.path is None else quoted(model.path)
        raise InputError(
            f"The local functions of {where} cannot be inlined: {exc}.",
            hint="Export the model without functions.",
        ) from exc
    found = load_model(whole)
    return replace(found, path=model.path, nbytes=model.nbytes, sha256=model.sha256, external=model.external)
