"""Plots as files: which forms there are, and bytes that are equal for equal plots."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from onnxprune.errors import MissingExtraError

FORMS = (".png", ".svg", ".pdf")
"""Suffixes of pictures."""

_SALT = "onnxprune"
_UNDATED: dict[str, dict[str, None]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""What takes the time of day out of a file."""


def check_plots() -> None:
    """Refuse to plot where that cannot be done, before anything is measured.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure_class()


def figure_class() -> Any:
    """The class of figures of matplotlib, which needs no screen.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise MissingExtraError(
            "A plot needs matplotlib, which is not installed.", hint='pip install "onnxprune[plots]"'
        ) from exc
    return Figure


def encoded(figure: Any, path: Path) -> bytes:
    """A figure as the bytes of a file.

    Args:
        figure: of matplotlib.
        path: whose suffix says in which form.
    """
    import matplotlib as mpl

    suffix = path.suffix.lower()
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": _SALT}):
        figure.savefig(buffer, format=suffix[1:], dpi=150, metadata=_UNDATED.get(suffix, {}))
    return buffer.getvalue()
