"""What training returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from onnxprune.model.model import Model


class Watch(Protocol):
    """Is told how training goes."""

    def __call__(self, name: str) -> None:
        """A step begins."""

    def advance(self, done: int, total: int) -> None:
        """So many of the step's parts are done."""

    def tell(self, text: str) -> None:
        """How it goes: epoch, loss, metric, learning rate, in one line."""

    def line(self, text: str) -> None:
        """An epoch has ended, and how."""


@dataclass(frozen=True)
class Epoch:
    """How one epoch went.

    Attributes:
        number: from 1; 0 is the model as it was given.
        steps: done so far.
        lr: learning rate at its end.
        loss: mean over its training samples; NaN for the start.
        metric: on the validation data, the higher the better.
        validation_loss: on the same data.
        seconds: that it took, validation included.
    """

    number: int
    steps: int
    lr: float
    loss: float
    metric: float
    validation_loss: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The epoch as one JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Trained:
    """A trained model and how that went.

    Attributes:
        model: the source with the weights of the best epoch, everything else as it was.
        history: the start, then one entry an epoch.
        best: epoch whose weights the model has; 0: none was better than the start, which is returned.
        metric: what was validated: ``accuracy``, ``agreement`` or ``sqnr``.
        account: settings, device, precision, samples, steps, seconds, for the report.
        notes: what the user should know.
        stopped_by: number of the signal that has stopped training, 0 for none; the model is then the best one
            so far.
    """

    model: Model
    history: tuple[Epoch, ...]
    best: int
    metric: str
    account: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stopped_by: int = 0

    @property
    def interrupted(self) -> bool:
        """Whether training was stopped from outside."""
        return self.stopped_by != 0

    def to_dict(self) -> dict[str, Any]:
        """The section ``training`` of a report."""
        return {
            "metric": self.metric,
            "best": self.best,
            "history": [epoch.to_dict() for epoch in self.history],
            "account": dict(self.account),
            "notes": list(self.notes),
            "interrupted": self.interrupted,
        }
