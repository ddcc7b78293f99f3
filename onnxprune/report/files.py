"""Reports as files: the suffix chooses the form."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from onnxprune.errors import OutputError, UsageError
from onnxprune.model.files import write_whole
from onnxprune.report.document import Report
from onnxprune.report.figures import printable
from onnxprune.report.json import dumps
from onnxprune.report.markdown import markdown


def _html(report: Report) -> str:
    """As a page; templates are only loaded for it."""
    from onnxprune.report.html import html

    return html(report)


FORMS: Mapping[str, Callable[[Report], str]] = {
    ".json": lambda report: dumps(report.to_dict()),
    ".md": markdown,
    ".html": _html,
}
"""Text of a report by suffix of the file."""


def check_reports(paths: Iterable[Path], taken: Iterable[Path], forms: Collection[str] = FORMS) -> None:
    """Refuse report files that cannot be written, before anything is done.

    Args:
        paths: where reports shall go.
        taken: files of the run that no report may replace.
        forms: the suffixes that there are.

    Raises:
        UsageError: an unknown suffix, or one file named twice.
        OutputError: a folder that is not there or not writable.
    """
    used = {path.absolute() for path in taken}
    for path in paths:
        where = repr(printable(path))
        if path.suffix.lower() not in forms:
            raise UsageError(
                f"--report {where} has no form that is known.",
                hint=f"End its name in {_alternatives(list(forms))}.",
            )
        if path.absolute() in used:
            raise UsageError(f"{where} is used twice in this run.", hint="Give every file its own name.")
        used.add(path.absolute())
        if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
            raise OutputError(
                f"The report {where} cannot be written there.",
                hint="Its folder has to exist and be writable, and the name must not be that of a folder.",
            )


def _alternatives(names: Sequence[str]) -> str:
    return " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def write_report(report: Report, path: str | os.PathLike[str]) -> None:
    """Write a report in one step; the suffix of the file chooses its form.

    Args:
        report: of a run.
        path: a name that ends in ``.json``, ``.md`` or ``.html``.

    Raises:
        UsageError: an unknown suffix.
        OutputError: it cannot be written; nothing is left behind.
    """
    path = Path(path)
    check_reports((path,), ())
    write_bytes(FORMS[path.suffix.lower()](report).encode(), path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file in one step.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    try:
        write_whole(path, content)
    except OSError as exc:
        raise OutputError(
            f"The report {printable(path)!r} cannot be written: {exc.strerror or exc}.",
            hint="Check the free space and the permissions of its folder.",
        ) from exc
