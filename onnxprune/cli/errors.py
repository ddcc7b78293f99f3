"""What went wrong, in one line for people or one object for programs, and the exit code."""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import typer

from onnxprune.cli.signals import Ended
from onnxprune.cli.stdout import Lost, complain, complaining, deliver
from onnxprune.errors import OnnxPruneError, VerificationError

DONE, MISSED, FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes of the command line; they are a contract."""

DEBUG = "ONNXPRUNE_DEBUG"
"""Environment variable that adds tracebacks to errors, as -v does."""

_USAGE_ERRORS = tuple(typer.BadParameter.__mro__[1:3])
"""``UsageError`` and ``ClickException``: typer has moved them from click to a module of its own."""


@dataclass(frozen=True)
class Problem:
    """An error as the user reads it.

    Attributes:
        message: what is wrong and where.
        hint: what to do about it, may be empty.
        code: exit code.
        expected: whether it is the user's to mend; if not, a traceback may help.
    """

    message: str
    hint: str = ""
    code: int = FAILED
    expected: bool = True


def problem(error: BaseException) -> Problem:
    """What to tell the user about an exception."""
    if isinstance(error, OnnxPruneError):
        code = MISSED if isinstance(error, VerificationError) else FAILED
        return Problem(error.message, error.hint, code)
    if isinstance(error, _USAGE_ERRORS):
        return Problem(_usage_message(error), "'onnxprune --help' lists all options with examples.")
    if isinstance(error, KeyboardInterrupt):
        return Problem("interrupted.", code=INTERRUPTED)
    if isinstance(error, Ended):
        return Problem(error.message, code=error.code)
    if isinstance(error, MemoryError):
        return Problem(
            "There is not enough memory for this model.",
            "Close other programs; --no-verify needs less, as nothing is run.",
        )
    if type(error).__module__.startswith("onnxruntime"):
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return Problem(f"ONNX Runtime failed: {first}", "Check that the model runs by itself.")
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return Problem(f"{where}{error.strerror}.")
    return Problem(
        f"This is a bug in onnxprune: {type(error).__name__}: {error}",
        f"Please report it with the model; {DEBUG}=1 shows where it happened.",
        expected=False,
    )


def told_missed(missed: Sequence[str]) -> int:
    """The exit code of a verb with bounds; those that were missed go to standard error, a line each."""
    from onnxprune.report.figures import printable

    complain("".join(f"missed: {printable(text)}\n" for text in missed))
    return MISSED if missed else DONE


def tell(error: BaseException, *, as_json: bool, verbose: bool) -> int:
    """Report an exception and return the exit code."""
    found = problem(error)
    if (verbose or os.environ.get(DEBUG)) and not isinstance(error, KeyboardInterrupt | Ended):
        complain("".join(traceback.format_exception(error)))
    if as_json and not isinstance(error, Lost):
        from onnxprune.report.json import dumps

        with suppress(Lost):
            deliver(dumps({"error": found.message, "hint": found.hint, "code": found.code}))
            return found.code
    from rich.console import Console
    from rich.text import Text

    from onnxprune.report.figures import printable

    console = Console(stderr=True, highlight=False)
    with complaining():
        console.print(Text.assemble(("error: ", "bold red"), printable(found.message)), soft_wrap=True)
        if found.hint:
            console.print(Text.assemble(("hint: ", "bold cyan"), printable(found.hint)), soft_wrap=True)
    return found.code


def _usage_message(error: BaseException) -> str:
    """Click's sentence; its class is not public everywhere, its ``format_message`` is."""
    formatted = getattr(error, "format_message", None)
    return str(formatted()) if callable(formatted) else str(error)
