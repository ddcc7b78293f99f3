"""Ctrl-C, SIGTERM and SIGHUP: training ends after the step that is under way."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Stop:
    """Takes signals while it is entered; a second one does at once what it would have done otherwise.

    A signal that is ignored, as ``nohup`` has it, stays ignored. Outside the main thread, where signals
    cannot be taken, nothing changes.

    Attributes:
        number: of the signal that has come, 0 for none.
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self.number != 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                number = getattr(signal, name, None)  # SIGHUP is not known everywhere
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.number = number
            return
        earlier = self._before[number]
        if callable(earlier):
            earlier(number, frame)
        raise KeyboardInterrupt
