"""What exporters raise, as one sentence for the user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from onnxprune.errors import InputError, OnnxPruneError
from onnxprune.frontends.quiet import quiet

_LONGEST = 300
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_INNERMOST = "Exception encountered:"
"""Keras puts this before what went wrong, at the end of what it was about to do."""


def first_line(error: BaseException) -> str:
    """The gist of an exception, with its kind where the text is short."""
    if type(error).__module__.startswith("torch.onnx") and error.__cause__ is not None:
        error = error.__cause__  # the exporter only says which of its steps failed
    told = _COLOUR.sub("", str(error)).rpartition(_INNERMOST)[2]
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    text = lines[0] if lines else ""
    if len(text) < 40:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


@contextmanager
def converting(what: str, hint: str) -> Iterator[None]:
    """Run an exporter quietly; what it raises, and it may raise anything, becomes an InputError.

    Args:
        what: the model, as the subject of the sentence.
        hint: what the user can do.
    """
    try:
        with quiet():
            yield
    except OnnxPruneError:
        raise
    except Exception as exc:
        raise InputError(f"{what} cannot be converted to ONNX: {first_line(exc)}", hint=hint) from exc
