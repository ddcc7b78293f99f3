"""Removal losses as a statistic that criteria can ask for."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from onnxprune.calibration.gathering import WAYS, Ways
from onnxprune.calibration.statistics import RemovalLoss, Statistic
from onnxprune.calibration.task import Found, Task
from onnxprune.coupling.groups import Floats
from onnxprune.reconstruction.losses import removal_losses


def measure(task: Task, wanted: frozenset[Statistic]) -> Found:
    """The losses of all groups."""
    losses = removal_losses(task.coupling, task.samples, seed=task.seed, threads=task.threads)
    look: Callable[[str], tuple[Floats, ...]] = lambda name: (losses[name],) if name in losses else ()
    return dict.fromkeys(wanted, look)


EVERY_WAY: Ways = MappingProxyType({**WAYS, (RemovalLoss,): measure})
"""Who measures what, reconstruction included."""
