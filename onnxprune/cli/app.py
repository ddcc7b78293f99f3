"""The verbs, and what leads to them."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import typer

from onnxprune.cli import stdout
from onnxprune.cli.bench import bench as bench_verb
from onnxprune.cli.convert import convert as convert_verb
from onnxprune.cli.errors import DONE, FAILED, INTERRUPTED, tell
from onnxprune.cli.evaluate import evaluate as evaluate_verb
from onnxprune.cli.finetune import finetune as finetune_verb
from onnxprune.cli.flat import Verb, flat
from onnxprune.cli.inspect import inspect as inspect_verb
from onnxprune.cli.prune import prune as prune_verb
from onnxprune.cli.quantize import quantize as quantize_verb
from onnxprune.cli.sensitivity import sensitivity as sensitivity_verb
from onnxprune.cli.signals import Ended
from onnxprune.cli.sweep import sweep as sweep_verb
from onnxprune.cli.verify import verify as verify_verb
from onnxprune.errors import UsageError

NAME = "onnxprune"


@dataclass(frozen=True)
class Entry:
    """A verb.

    Attributes:
        run: the function; its docstring is its help.
        arguments: what follows the verb, for the list of verbs.
        summary: what it does, for the same list.
        examples: pairs of options behind the program's name and what they do.
    """

    run: Verb
    arguments: str
    summary: str
    examples: tuple[tuple[str, str], ...]


PRUNE = Entry(
    prune_verb,
    "MODEL",
    "prune a model",
    (
        ("model.onnx --ratio 0.4", "40 % fewer filters in every layer"),
        ("model.onnx --macs 0.5x -o small.onnx --report small.json", "half the arithmetic, with a report"),
        ("model.onnx --ratio 0.4 --scope global --exclude 'head*'", "rank over all layers, spare the head"),
        ("model.onnx --macs 0.5x --data train.npz --finetune 10", "prune, repair and train"),
        ("model.keras --ratio 0.4", "Keras, SavedModel, TFLite and .pt2 files are converted first"),
        ("model.onnx --size 10MB --dry-run", "what it takes to fit into 10 MB"),
    ),
)
"""What a command line without a verb means."""

VERBS: Mapping[str, Entry] = {
    "bench": Entry(
        bench_verb,
        "MODEL...",
        "latency, memory and load time, side by side",
        (
            ("bench model.onnx model.pruned.onnx", "which is faster, by how much, and how sure that is"),
            ("bench model.onnx --threads 1,2,4 --batch 1,8", "every combination"),
            ("bench model.onnx --profile", "where the time goes"),
        ),
    ),
    "convert": Entry(
        convert_verb,
        "MODEL",
        "write a Keras, TensorFlow or torch model as ONNX",
        (
            ("convert model.keras -o model.onnx", "the conversion that pruning does first"),
            ("convert saved_model/ --opset 15", "for an older runtime"),
        ),
    ),
    "evaluate": Entry(
        evaluate_verb,
        "MODEL...",
        "accuracy on data, side by side",
        (
            ("evaluate model.onnx --data test.npz", "accuracy, balanced accuracy, log loss"),
            ("evaluate model.onnx small.onnx --data images/ --preprocess imagenet", "before and after"),
            ("evaluate small.onnx --teacher model.onnx --data x.npz", "agreement, without labels"),
        ),
    ),
    "finetune": Entry(
        finetune_verb,
        "MODEL",
        "train a model on data, or on what its source says",
        (
            ("finetune small.onnx --train-data train.npz --teacher model.onnx", "win accuracy back"),
            ("finetune small.onnx --train-data images/ --preprocess imagenet --epochs 5", "labels alone"),
        ),
    ),
    "inspect": Entry(
        inspect_verb,
        "MODEL",
        "what could be pruned, and what is coupled to what",
        (
            ("inspect model.onnx", "groups of coupled channels, and what holds the rest"),
            ("inspect model.onnx --ratio 0.4", "what pruning with these options would leave"),
        ),
    ),
    "sensitivity": Entry(
        sensitivity_verb,
        "MODEL",
        "how a metric falls when each layer alone is pruned",
        (
            ("sensitivity model.onnx --data val.npz", "a table: layers against ratios"),
            ("sensitivity model.onnx --data val.npz --plot curves.png --ratios 0.3,0.6", "and a picture"),
        ),
    ),
    "quantize": Entry(
        quantize_verb,
        "MODEL",
        "a copy in int8 or fp16",
        (
            ("quantize model.onnx --data val.npz", "int8, with ranges read off samples"),
            ("quantize model.onnx --to fp16", "half the size"),
        ),
    ),
    "sweep": Entry(
        sweep_verb,
        "MODEL",
        "many ways of pruning, and which of them no other beats",
        (
            (
                "sweep model.onnx --data val.npz --repairs none,lstsq --quantize none,int8",
                "every combination",
            ),
            ("sweep model.onnx --data val.npz --ratios 0.1:0.7 --trials 40", "40 that Optuna chooses"),
            ("sweep model.onnx --data val.npz --layers 'C1,C2,C3' --ratio 0.25", "combinations of layers"),
        ),
    ),
    "verify": Entry(
        verify_verb,
        "SOURCE PRUNED REPORT",
        "check a pruned model against its report",
        (("verify model.onnx model.pruned.onnx report.json", "0 if it holds, 1 if not"),),
    ),
}
"""The verbs that come first on the command line; a new one is a file and an entry here. A model of
the same name is reached as ``./inspect``."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: without the program's name.
    """
    stdout.prepare()
    try:
        return _dispatch(arguments)
    except (Exception, KeyboardInterrupt, Ended) as error:
        return tell(error, as_json="--json" in arguments, verbose=_wants_traceback(arguments))


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
    app.command(help=_help(entry), epilog=_verbs() if entry is PRUNE else None)(flat(entry.run))
    line = shlex.join([*program.split(), *arguments])
    command = typer.main.get_command(app)
    try:
        code = command.main(list(arguments), prog_name=program, standalone_mode=False, obj=line)
    except SystemExit:  # typer's answer to a reader that has gone away, as ``deliver`` has its own
        return DONE
    if code == INTERRUPTED:  # typer has turned the interrupt into a number
        raise KeyboardInterrupt
    return int(code or 0)


def _help(entry: Entry) -> str:
    """The docstring with its lines joined, and the examples."""
    paragraphs = [p.replace("\n", " ") for p in inspect.cleandoc(entry.run.__doc__ or "").split("\n\n")]
    examples = [f"  [cyan]{NAME} {command}[/]\n      {meaning}" for command, meaning in entry.examples]
    return "\n\n".join([*paragraphs, "\n".join(["[bold]Examples[/]", *examples])])


def _verbs() -> str:
    """The other verbs, for the end of the help."""
    wide = max(len(f"{name} {entry.arguments}") for name, entry in VERBS.items())
    lines = [
        f"  [cyan]{NAME} {f'{name} {entry.arguments}':<{wide}}[/]  {entry.summary}"
        for name, entry in VERBS.items()
    ]
    return "\n".join(["[bold]Other verbs[/], each with its own --help:", *lines])


def _check_first(name: str, rest: Sequence[str]) -> None:
    """Tell what a word means that looks like a verb but is none.

    Raises:
        UsageError: where a verb was meant, and no file has that name.
    """
    if name.startswith("-") or not name.isidentifier() or Path(name).exists():
        return
    if name == "prune":
        raise UsageError("Pruning needs no verb.", hint=f"{NAME} MODEL --ratio 0.4")
    close = get_close_matches(name, VERBS, n=1)
    if close or (rest and not rest[0].startswith("-")):
        guess = f"Did you mean '{NAME} {close[0]}'? " if close else ""
        raise UsageError(
            f"There is no verb {name!r}, and no file of that name.",
            hint=f"{guess}The verbs are {', '.join(VERBS)}; without one a model is pruned.",
        )


def _wants_traceback(given: Sequence[str]) -> bool:
    return any(
        word == "--verbose" or (len(word) > 1 and set(word[1:]) == {"v"} and word[0] == "-") for word in given
    )
