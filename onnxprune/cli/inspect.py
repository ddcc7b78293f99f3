"""``onnxprune inspect``: what could be pruned."""

from __future__ import annotations

from onnxprune.cli.errors import DONE
from onnxprune.cli.options import (
    CriterionOptions,
    DataOptions,
    ModelPath,
    ScopeOptions,
    TargetOptions,
    ViewOptions,
)
from onnxprune.cli.settings import settings
from onnxprune.cli.stdout import deliver, working


def inspect(
    model: ModelPath,
    target: TargetOptions,
    criterion: CriterionOptions,
    scope: ScopeOptions,
    data: DataOptions,
    view: ViewOptions,
) -> int:
    """Show which channels of a model belong together, what each group costs, and what holds the rest.

    With a target it also shows what pruning with the same options would leave. Nothing is written.
    """
    from onnxprune.api import examine

    with working(show=not (view.json or view.quiet), timed=view.verbose > 0) as step:
        found = examine(model, settings(target, criterion, scope, data), progress=step)
    if view.json:
        from onnxprune.report import dumps

        deliver(dumps(found.to_dict()))
    elif not view.quiet:
        from rich.console import Console

        from onnxprune.report.inspect_terminal import show_inspection

        console = Console()
        with console.capture() as text:
            show_inspection(found, console, verbose=view.verbose)
        deliver(text.get())
    return DONE
