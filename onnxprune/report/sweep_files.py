"""The results of a sweep as files: the suffix chooses the form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from onnxprune.report.files import write_bytes
from onnxprune.report.json import dumps
from onnxprune.report.sweep_cells import csv_of
from onnxprune.report.sweep_views import sweep_markdown
from onnxprune.sweep import Sweep


def _html(found: Sweep) -> str:
    """As a page; templates are only loaded for it."""
    from onnxprune.report.html.sweep import sweep_page

    return sweep_page(found)


SWEEP_FORMS: Mapping[str, Callable[[Sweep], str]] = {
    ".json": lambda found: dumps(found.to_dict()),
    ".md": sweep_markdown,
    ".csv": csv_of,
    ".html": _html,
}
"""Text of the results by suffix of the file."""


def write_sweep(found: Sweep, path: Path) -> None:
    """Write results in one step.

    Raises:
        OutputError: they cannot be written; nothing is left behind.
    """
    write_bytes(SWEEP_FORMS[path.suffix.lower()](found).encode(), path)
