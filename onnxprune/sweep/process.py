"""Which process works at a trial, and whether it still does."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

BEAT = 10.0
"""Seconds between two signs of life."""

LOST = 60.0
"""Seconds without one after which a process counts as lost, where it cannot be looked at."""

_PROC = Path("/proc")


@cache
def here() -> str:
    """This machine, since it was started, as far as its processes see each other."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append((_PROC / "sys/kernel/random/boot_id").read_text().strip())
        parts.append(str((_PROC / "self/ns/pid").readlink()))
    return " ".join(parts)


def myself() -> str:
    """This process, told apart from any other."""
    return f"{here()}|{os.getpid()}|{_begin(os.getpid())}"


def is_gone(process: str) -> bool:
    """Whether a process is known to have ended; False where that cannot be seen from here."""
    machine, _, rest = process.partition("|")
    number, _, begin = rest.partition("|")
    if machine != here() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _begin(int(number)) != begin


def _begin(number: int) -> str:
    """When a process began, in ticks since the machine did; empty where the system does not tell."""
    try:
        text = (_PROC / str(number) / "stat").read_text()
    except OSError:
        return ""
    state, *rest = text.rpartition(")")[2].split()
    return "" if state == "Z" else rest[18]


@contextmanager
def beating(beat: Callable[[int], object], seconds: float = BEAT) -> Iterator[None]:
    """Give signs of life for as long as something takes.

    Args:
        beat: called with a number that rises; what it raises ends the signs, not the work.
        seconds: between two of them.
    """
    stopped = threading.Event()

    def work() -> None:
        number = 0
        while not stopped.wait(seconds):
            number += 1
            try:
                beat(number)
            except Exception:  # the storage is out of reach, or the trial was taken from us
                return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


class Watch:
    """Tells who has given no sign of life for too long, by the clock of the one who looks.

    Args:
        patience: seconds.
        clock: seconds from some start.
    """

    def __init__(self, patience: float = LOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._seen: dict[int, tuple[object, float]] = {}

    def lost(self, number: int, sign: object) -> bool:
        """Whether the last sign of a trial has not changed for too long since it was first seen."""
        now = self._clock()
        before = self._seen.get(number)
        if before is None or before[0] != sign:
            self._seen[number] = (sign, now)
            return False
        return now - before[1] > self._patience
