"""Standard output, kept for the result: everything else that is printed goes to standard error."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, TextIO

from onnxprune.errors import OutputError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SOON = 1.0
"""Seconds that a step takes before it gets a bar."""


class Lost(OutputError):
    """Standard output takes nothing more; an account of that would not arrive there either."""


def open_all() -> None:
    """Let the three standard streams lead somewhere, if only nowhere.

    Where one was closed, the next file that is opened would get its number: what a library prints would
    end up in a model.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def prepare() -> None:
    """Let names of any script through, whatever the terminal's encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def deliver(text: str) -> None:
    """Write to standard output; a reader that has gone away (``| head``) is no error.

    Raises:
        Lost: it takes nothing more, as on a full disk.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _lead_nowhere(sys.stdout)
    except OSError as exc:
        _lead_nowhere(sys.stdout)  # what is still to be written would fail once more at the end
        raise Lost(f"Standard output cannot be written: {exc.strerror or exc}.") from exc


@contextmanager
def complaining() -> Iterator[None]:
    """Let what is written to standard error go nowhere once it takes nothing more."""
    try:
        yield
        sys.stderr.flush()
    except OSError:
        _lead_nowhere(sys.stderr)


def complain(text: str) -> None:
    """Write to standard error, as far as that can be done."""
    with complaining():
        sys.stderr.write(text)


def _lead_nowhere(stream: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Steps:
    """Told each step as it begins, and how far it is; times the steps.

    Args:
        timed: whether the time of each step is printed when it ends.
        view: shows the step, None for nothing.
    """

    def __init__(self, timed: bool, view: Progress | None = None) -> None:
        self._timed = timed
        self._view = view
        self._task = None if view is None else view.add_task("starting", total=None)
        self._whole: TaskID | None = None
        self._name = ""
        self._start = time.perf_counter()

    def __call__(self, name: str) -> None:
        """A step begins."""
        if name == self._name:  # of what waits and looks again and again
            return
        self.stop()
        self._name, self._start = name, time.perf_counter()
        if self._view is not None and self._task is not None:
            self._view.reset(self._task, total=None, description=f"{name} ...")

    def trial(self, title: str, done: int, total: int) -> None:
        """Of many jobs another one begins; they get a bar of their own above their steps."""
        self.stop()
        if self._timed:
            complain(f"{done + 1} of {total}: {title}\n" if total else f"{title}\n")
        if self._view is None:
            return
        if self._whole is None:
            self._whole = self._view.add_task("", total=None)
        told = f"{done + 1} of {total}: {title}" if total else title
        self._view.update(self._whole, description=told, completed=done, total=total or None)

    def advance(self, done: int, total: int) -> None:
        """The step has done so much of it; it gets a bar once it has taken a second."""
        if self._view is None or self._task is None or time.perf_counter() - self._start < SOON:
            return
        self._view.update(self._task, completed=done, total=total)

    def tell(self, text: str) -> None:
        """How the step goes."""
        if self._view is not None and self._task is not None:
            self._view.update(self._task, description=f"{self._name}: {text}")

    def line(self, text: str) -> None:
        """A part of the step has ended, and how: a line of its own where steps are timed."""
        if not self._timed:
            return
        if self._view is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._view.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def stop(self) -> None:
        """The last step has ended."""
        if self._name and self._timed:
            complain(f"{time.perf_counter() - self._start:7.2f} s  {self._name}\n")
        self._name = ""


@contextmanager
def working(*, show: bool, timed: bool) -> Iterator[Steps]:
    """Run the work of a verb: gives what is called at each step.

    Args:
        show: whether a spinner names the step, with a bar where it says how far it is; only ever on a
            terminal.
        timed: whether the time of each step is printed when it ends.
    """
    with redirect_stdout(sys.stderr):  # libraries, and criteria of the user's own, may print
        if not (show and sys.stderr.isatty()):
            steps = Steps(timed)
            yield steps
            steps.stop()
            return
        with _view() as view:
            steps = Steps(timed, view)
            yield steps
            steps.stop()


def _view() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
    from rich.progress import TaskProgressColumn as Percent
    from rich.progress import TimeRemainingColumn as Remaining
    from rich.text import Text

    class Known(ProgressColumn):
        """A column that is there only where it is known how much there is to do."""

        def __init__(self, column: ProgressColumn) -> None:
            super().__init__()
            self._column = column

        def render(self, task: Task) -> Text:
            return Text() if task.total is None else self._column(task)  # type: ignore[return-value]

    bar = (Known(column) for column in (BarColumn(), Percent(), Remaining()))
    spinner, text = SpinnerColumn(), TextColumn("{task.description}")
    return Progress(spinner, text, *bar, console=Console(stderr=True), transient=True)
