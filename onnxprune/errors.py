"""Every error that onnxprune raises on purpose.

OnnxPruneError                what went wrong, where, and what to do about it
├── InputError                the model, or a file it needs, cannot be used
├── UsageError                an option or argument makes no sense
│   └── TargetError           a budget cannot be met; names the nearest that can
├── OutputError               a result cannot be written
├── MissingExtraError         an optional dependency is not installed
└── VerificationError         the pruned model does not equal the masked source

Stopped is no such error: it is the KeyboardInterrupt of a training that a signal has stopped.
"""

from __future__ import annotations


class OnnxPruneError(Exception):
    """Base of all deliberate errors.

    Args:
        message: what is wrong and where, in one sentence.
        hint: what the user can do about it; may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(OnnxPruneError):
    """The model, or a file that it refers to, cannot be used."""


class UsageError(OnnxPruneError):
    """An option or argument makes no sense, or two of them contradict each other."""


class TargetError(UsageError):
    """A budget cannot be met; the message names the nearest one that can."""


class OutputError(OnnxPruneError):
    """A result cannot be written where it was asked for."""


class MissingExtraError(OnnxPruneError):
    """An optional dependency is missing; the hint repeats the pip line."""


class VerificationError(OnnxPruneError):
    """The pruned model does not compute what the masked source computes."""


class Stopped(KeyboardInterrupt):
    """A signal has stopped a training, which can be gone on with.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
