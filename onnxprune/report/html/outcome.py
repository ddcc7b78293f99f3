"""How a run ended: what was checked, what was written, what was missed, what the user should know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from onnxprune.report.document import Report
from onnxprune.report.figures import plural, size, tiny
from onnxprune.report.terminal import MASKED

Kind = Literal["good", "bad", "note", "open"]


@dataclass(frozen=True)
class Line:
    """One thing to know.

    Attributes:
        kind: good, bad, a note, or left open.
        word: what it is about.
        text: the rest.
        name: a file that the text ends with, empty where there is none.
    """

    kind: Kind
    word: str
    text: str
    name: str = ""


def outcome(report: Report) -> tuple[Line, ...]:
    """What a person has to know before the result is used; what failed comes first."""
    missed = [Line("bad", "Missed", text) for text in report.missed]
    return (*missed, *_checked(report), _written(report), *(Line("note", "Note", t) for t in report.warnings))


def _checked(report: Report) -> Iterator[Line]:
    against = "the source" if report.cleaned else MASKED
    for found in report.verification.values():
        yield _verification(found, against)
    if not report.verification:
        yield Line("open", "Not verified", "as asked for with --no-verify")


def _verification(found: Mapping[str, Any], against: str) -> Line:
    if not found["checked"]:
        return Line("open", "Not verified", str(found["reason"]))
    if not found["passed"]:
        return Line("bad", "Wrong", str(found["reason"]))
    inputs = plural(found["samples"], "random input")
    if not isfinite(found["tolerance"]):
        return Line("good", "Verified", f"gives outputs of the right form on {inputs}")
    error, allowed = tiny(found["max_relative_error"]), tiny(found["tolerance"])
    return Line("good", "Verified", f"equals {against} on {inputs}: error {error}, {allowed} allowed")


def _written(report: Report) -> Line:
    output = report.output
    if output["written"]:
        return Line("good", "Written", f"{size(output['bytes'])} to", str(output["path"] or ""))
    return Line("open", "Not written", "it failed verification" if report.wrong else "no file was asked for")
