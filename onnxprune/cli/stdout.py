"""Standard output, kept for the result: everything else that is printed goes to standard error."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

Step = Callable[[str], None]


def prepare() -> None:
    """Let names of any script through, whatever the terminal's encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def deliver(text: str) -> None:
    """Write to standard output; a reader that has gone away (``| head``) is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def working(*, show: bool, timed: bool) -> Iterator[Step]:
    """Run the work of a verb: gives the function to call at each step.

    Args:
        show: whether a spinner names the step; only ever on a terminal.
        timed: whether the time of each step is printed when it ends.
    """
    with redirect_stdout(sys.stderr):  # libraries, and criteria of the user's own, may print
        watch = _Watch(timed)
        if not (show and sys.stderr.isatty()):
            yield watch.step
            watch.stop()
            return
        from rich.console import Console

        console = Console(stderr=True)
        with console.status("starting") as status:

            def step(name: str) -> None:
                watch.step(name)
                status.update(f"{name} ...")

            yield step
            watch.stop()


class _Watch:
    """Times the steps."""

    def __init__(self, timed: bool) -> None:
        self._timed = timed
        self._name = ""
        self._start = time.perf_counter()

    def step(self, name: str) -> None:
        self.stop()
        self._name, self._start = name, time.perf_counter()

    def stop(self) -> None:
        if self._name and self._timed:
            print(f"{time.perf_counter() - self._start:7.2f} s  {self._name}", file=sys.stderr)
        self._name = ""
