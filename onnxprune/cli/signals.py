"""Signals that ask the process to end: what is unfinished is cleaned up first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGTERM", "SIGHUP")


class Ended(BaseException):
    """A signal has asked the process to end.

    No ``Exception`` and no ``KeyboardInterrupt``, which libraries catch to go on in their own way.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.message = f"ended by {signal.Signals(number).name}."
        self.code = 128 + number
        """Exit code, as shells count."""


@contextmanager
def raised() -> Iterator[None]:
    """Raise ``Ended`` where the process is told to end, instead of ending there and then.

    A signal that is ignored, as ``nohup`` has it, stays ignored; threads other than the main one cannot
    choose, and leave everything as it is.
    """
    before = {}
    try:
        for name in _NAMES:
            number = getattr(signal, name, None)  # SIGHUP is not known everywhere
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, _raise)
    except ValueError:  # not in the main thread
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Ended(number)
