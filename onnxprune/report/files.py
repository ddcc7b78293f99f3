"""Reports as files: the suffix chooses the form."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from onnxprune.errors import OutputError, UsageError
from onnxprune.report.document import Report
from onnxprune.report.figures import printable
from onnxprune.report.json import dumps
from onnxprune.report.markdown import markdown

FORMS: Mapping[str, Callable[[Report], str]] = {
    ".json": lambda report: dumps(report.to_dict()),
    ".md": markdown,
}
"""Text of a report by suffix of the file."""


def check_reports(paths: Iterable[Path], taken: Iterable[Path]) -> None:
    """Refuse report files that cannot be written, before anything is done.

    Args:
        paths: where reports shall go.
        taken: files of the run that no report may replace.

    Raises:
        UsageError: an unknown suffix, or one file named twice.
        OutputError: a folder that is not there or not writable.
    """
    used = {path.absolute() for path in taken}
    for path in paths:
        where = repr(printable(path))
        if path.suffix.lower() not in FORMS:
            raise UsageError(
                f"--report {where} has no form that is known.",
                hint=f"End its name in {' or '.join(FORMS)}.",
            )
        if path.absolute() in used:
            raise UsageError(f"{where} is used twice in this run.", hint="Give every file its own name.")
        used.add(path.absolute())
        if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
            raise OutputError(
                f"The report {where} cannot be written there.",
                hint="Its folder has to exist and be writable, and the name must not be that of a folder.",
            )


def write_report(report: Report, path: Path) -> None:
    """Write a report in one step.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        temporary.write_text(FORMS[path.suffix.lower()](report), encoding="utf-8")
        temporary.replace(path)
    except OSError as exc:
        raise OutputError(
            f"The report {printable(path)!r} cannot be written: {exc.strerror or exc}.",
            hint="Check the free space and the permissions of its folder.",
        ) from exc
    finally:  # after an interrupt as well
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
