"""Optimisers, schedules of the learning rate, and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from onnxprune.training.settings import TrainSettings

MOMENTUM = 0.9

Groups = list[dict[str, Any]]


def make_optimizer(module: nn.Module, settings: TrainSettings, device: torch.device) -> Optimizer:
    """The optimiser for what can be trained in a module; biases and norms do not decay."""
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in trained(module):
        vector = parameter.numel() == max(parameter.shape, default=1)
        (others if vector else decaying).append(parameter)
    groups = [
        {"params": decaying, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    fused = {"fused": True} if device.type == "cuda" else {}
    return _OPTIMIZERS[settings.optimizer]([g for g in groups if g["params"]], settings.peak_lr, fused)


def trained(module: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters that are trained."""
    return (p for p in module.parameters() if p.requires_grad and p.is_floating_point())


def _sgd(groups: Groups, lr: float, more: Mapping[str, Any]) -> Optimizer:
    return SGD(groups, lr=lr, momentum=MOMENTUM, nesterov=True, **more)


def _adamw(groups: Groups, lr: float, more: Mapping[str, Any]) -> Optimizer:
    return AdamW(groups, lr=lr, **more)


_OPTIMIZERS: Mapping[str, Callable[[Groups, float, Mapping[str, Any]], Optimizer]] = {
    "sgd": _sgd,
    "adamw": _adamw,
}


def make_schedule(
    optimizer: Optimizer, settings: TrainSettings, steps: int, epoch_steps: float
) -> LRScheduler:
    """The schedule of the learning rate.

    Args:
        optimizer: whose rate it sets.
        settings: kind, largest rate, warm-up.
        steps: of the whole training.
        epoch_steps: steps of an epoch.
    """
    rising = min(round(settings.warmup * epoch_steps), steps // 2)
    return _SCHEDULES[settings.schedule](optimizer, settings.peak_lr, steps, rising)


def _cosine(optimizer: Optimizer, lr: float, steps: int, rising: int) -> LRScheduler:
    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return 0.5 + 0.5 * cos(pi * min(1.0, (step - rising) / max(1, steps - rising)))

    return LambdaLR(optimizer, factor)


def _constant(optimizer: Optimizer, lr: float, steps: int, rising: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / (rising + 1)))


def _one_cycle(optimizer: Optimizer, lr: float, steps: int, rising: int) -> LRScheduler:
    return OneCycleLR(optimizer, lr, total_steps=steps + 1, pct_start=max(rising / (steps + 1), 0.3))


_SCHEDULES: Mapping[str, Callable[[Optimizer, float, int, int], LRScheduler]] = {
    "cosine": _cosine,
    "onecycle": _one_cycle,
    "constant": _constant,
}


class Average:
    """An average of weights and running statistics over steps.

    It is a moving one, at first over the few steps that there are, and from ``start`` on a plain one over
    all steps since then (Izmailov et al. 2018, arXiv 1803.05407).

    Args:
        module: that is averaged.
        decay: of the moving average, once it has run for long enough; 0 for the weights of the last step.
        start: step from which on all count alike.
    """

    def __init__(self, module: nn.Module, decay: float, start: int) -> None:
        self._decay = decay
        self._start = start
        self._steps = 0
        self.module = deepcopy(module).requires_grad_(False)
        self._averages, self._values = _floats(self.module), _floats(module)

    def update(self) -> None:
        """Take a step's weights in."""
        since = self._steps - self._start
        moving = min(self._decay, (1 + self._steps) / (10 + self._steps))
        decay = moving if since < 0 else since / (since + 1)
        get_ema_multi_avg_fn(decay)(self._averages, self._values, self._steps)
        self._steps += 1

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        return {"steps": self._steps, "module": self.module.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._steps = int(state["steps"])
        self.module.load_state_dict(state["module"])


def _floats(module: nn.Module) -> list[Tensor]:
    """Parameters, and the buffers that training changes."""
    return [value for value in module.state_dict().values() if value.is_floating_point()]
