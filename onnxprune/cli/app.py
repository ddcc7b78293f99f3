"""The verbs, and what leads to them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import typer

from onnxprune.cli import inspect, prune, stdout, verify
from onnxprune.cli.errors import FAILED, tell
from onnxprune.cli.flat import Verb, flat
from onnxprune.errors import UsageError

NAME = "onnxprune"


@dataclass(frozen=True)
class Entry:
    """A verb.

    Attributes:
        run: the function; its docstring is its help.
        summary: one line for the list of verbs.
        usage: how its arguments are written there.
    """

    run: Verb
    summary: str
    usage: str


PRUNE = Entry(prune.prune, "prune a model", "MODEL [OPTIONS]")
"""What a command line without a verb means."""

VERBS: Mapping[str, Entry] = {
    "inspect": Entry(inspect.inspect, "what could be pruned, and what is coupled to what", "MODEL"),
    "verify": Entry(verify.verify, "check a pruned model against its report", "SOURCE PRUNED REPORT"),
}
"""The verbs that come first on the command line; a new one is a file and a line here. A model of
the same name is reached as ``./inspect``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: without the program's name, None for those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    stdout.prepare()
    try:
        return _dispatch(given)
    except (Exception, KeyboardInterrupt) as error:
        return tell(error, as_json="--json" in given, verbose=_wants_traceback(given))


def _dispatch(given: Sequence[str]) -> int:
    if not given:
        _run(PRUNE, NAME, ["--help"])
        return FAILED
    name, *rest = given
    if name in VERBS:
        return _run(VERBS[name], f"{NAME} {name}", rest)
    _check_first(name, rest)
    return _run(PRUNE, NAME, given)


def _run(entry: Entry, program: str, arguments: Sequence[str]) -> int:
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    epilog = _verbs() if entry is PRUNE else None
    app.command(epilog=epilog)(flat(entry.run))
    code = typer.main.get_command(app).main(list(arguments), prog_name=program, standalone_mode=False)
    if code == 130:
        raise KeyboardInterrupt
    return int(code or 0)


def _verbs() -> str:
    """The other verbs, for the end of the help."""
    lines = [
        f"[bold cyan]{NAME} {name}[/] [dim]{entry.usage}[/]  {entry.summary}" for name, entry in VERBS.items()
    ]
    return "\n\n".join(["[bold]Other verbs[/] (each has its own --help)", *lines])


def _check_first(name: str, rest: Sequence[str]) -> None:
    """Tell what a word means that looks like a verb but is none.

    Raises:
        UsageError: where a verb was meant, and no file has that name.
    """
    is_word = not name.startswith("-") and name.isidentifier() and not Path(name).exists()
    if not is_word:
        return
    if name == "prune":
        raise UsageError("Pruning needs no verb.", hint=f"{NAME} MODEL --ratio 0.4")
    close = get_close_matches(name, VERBS, n=1)
    guess = f"Did you mean '{NAME} {close[0]}'? " if close else ""
    if close or (rest and not rest[0].startswith("-")):
        raise UsageError(
            f"There is no verb {name!r}, and no file of that name.",
            hint=f"{guess}The verbs are {', '.join(VERBS)}; without one a model is pruned.",
        )


def _wants_traceback(given: Sequence[str]) -> bool:
    return any(word == "--verbose" or (word.startswith("-v") and set(word[1:]) == {"v"}) for word in given)
