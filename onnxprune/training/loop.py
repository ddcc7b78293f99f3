"""The steps of a training, epoch by epoch, from wherever it stands."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from onnxprune.coupling.groups import Indices
from onnxprune.training.checkpoint import Checkpoint
from onnxprune.training.images import Augmenter
from onnxprune.training.journal import Journal
from onnxprune.training.mixing import Mixing, Mixture
from onnxprune.training.objective import Target
from onnxprune.training.optimization import Average, make_optimizer, make_schedule, trained
from onnxprune.training.penalty import Penalty
from onnxprune.training.pool import Feeder, Portion
from onnxprune.training.processes import Processes
from onnxprune.training.randomness import order, step_seed
from onnxprune.training.result import Epoch, Watch
from onnxprune.training.settings import TrainSettings
from onnxprune.training.stopping import Stop
from onnxprune.training.student import Runner, Student, train_mode
from onnxprune.training.teaching import Teaching
from onnxprune.training.validation import Validator, spelled_metric

_AGREE_EVERY = 20
"""Steps between which several processes tell each other whether one was asked to stop."""

_TELL_EVERY = 0.5
"""Seconds; the loss is on the device, and asking for it waits for all that is under way."""


@dataclass(frozen=True, eq=False)
class Parts:
    """What a loop works with."""

    student: Student
    feeder: Feeder
    augmenter: Augmenter
    mixing: Mixing
    teaching: Teaching | None
    validator: Validator
    runner: Runner
    processes: Processes
    checkpoint: Checkpoint
    journal: Journal
    penalty: Penalty | None = None
    watch: Watch | None = None


class Loop:
    """A training under way.

    Args:
        parts: what it works with.
        settings: of the training.
        batch: samples a step, of all processes together.
    """

    def __init__(self, parts: Parts, settings: TrainSettings, batch: int) -> None:
        self._parts = parts
        self._settings = settings
        self._module = parts.student.module
        self.batch = batch
        self.epoch_steps = max(1, parts.feeder.count // batch)
        self.steps = round(settings.epochs * self.epoch_steps) or (1 if settings.epochs else 0)
        device = parts.runner.device
        self._optimizer = make_optimizer(self._module, settings, device)
        self._schedule = make_schedule(self._optimizer, settings, self.steps, self.epoch_steps)
        plain = self.steps - round(settings.swa * self.steps)
        averages = settings.ema or settings.swa
        self._average = Average(self._module, settings.ema, plain) if averages else None
        self._trained = list(trained(self._module))
        self._loss = torch.zeros((), device=device)
        self._step = 0
        self._seconds = 0.0
        self._saved = self._told = time.monotonic()
        self.history: list[Epoch] = []
        self.best = 0
        self.best_state: dict[str, Tensor] = {}
        self.resumed = 0
        self.diverged = False

    @property
    def seconds(self) -> float:
        """Of all epochs, those of earlier runs included."""
        return sum(epoch.seconds for epoch in self.history) + self._seconds

    def run(self) -> int:
        """Train to the end, or until a signal asks to stop; returns its number, 0 for the end.

        Raises:
            OutputError: a file of the run cannot be written.
        """
        with Stop() as stop:
            if not self.history:
                self._start()
            while self._step < self.steps and not self.diverged:
                whole = self._epoch(stop)
                if not whole:
                    self._save()
                if self._step < self.steps and self._agreed(stop)[0]:
                    return stop.number or signal.SIGINT  # another process was asked
        return 0

    def _start(self) -> None:
        begin = time.perf_counter()
        metric, loss = self._parts.validator(self._module)
        seconds = time.perf_counter() - begin
        self.history.append(Epoch(0, 0, self._optimizer.param_groups[0]["lr"], nan, metric, loss, seconds))
        self._note()

    def _epoch(self, stop: Stop) -> bool:
        """The rest of an epoch; False where it was stopped."""
        parts = self._parts
        epoch, done = divmod(self._step, self.epoch_steps)
        last = min(self.epoch_steps, self.steps - epoch * self.epoch_steps)
        parts.augmenter.begin(epoch)
        mixtures = parts.mixing.drawn(epoch, self.epoch_steps)
        begin = time.perf_counter()
        train_mode(self._module, normalised=parts.student.normalised)
        for portion in parts.feeder.portions(self._plan(epoch)[done:last]):
            self._train(portion, mixtures[self._step - epoch * self.epoch_steps])
            self._step += 1
            self._tell(epoch)
            asked, due = self._between(epoch * self.epoch_steps + last, stop)
            if asked or due:
                now = time.perf_counter()
                self._seconds, begin = self._seconds + now - begin, now
            if asked:
                return False
            if due:
                self._save()
        self._end(epoch + 1, float(parts.processes.sum(self._loss.clone())) / last, begin)
        return True

    def _between(self, last: int, stop: Stop) -> tuple[bool, bool]:
        """Whether to stop, and whether to save, between two steps of an epoch."""
        rarely = self._parts.processes.count > 1 and self._step % _AGREE_EVERY
        return (False, False) if self._step == last or rarely else self._agreed(stop)

    def _plan(self, epoch: int) -> list[Indices]:
        """For each step of an epoch the samples of this process; to mix them the one before them too."""
        count = self._parts.feeder.count
        positions = order(count, self._settings.seed, epoch)
        whole = positions[: self.epoch_steps * self.batch].reshape(self.epoch_steps, -1)
        start, stop = self._parts.processes.share(whole.shape[1])
        if self._parts.mixing.pairs:
            return [row[np.arange(start - 1, stop)] for row in whole]
        return [row[start:stop] for row in whole]

    def _train(self, portion: Portion, mixture: Mixture) -> None:
        """One step."""
        parts, settings = self._parts, self._settings
        torch.manual_seed(step_seed(settings.seed, self._step, parts.processes.rank))
        inputs, target = self._batch(portion, mixture)
        taught = () if parts.teaching is None else parts.teaching(inputs)
        found = parts.runner(self._module, inputs)
        loss = parts.student.objective(found, taught, target, self.batch)
        if parts.penalty is not None:
            loss = loss + parts.penalty(self._module, self._step, self.steps) / parts.processes.count
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parts.processes.sum_gradients(self._trained)
        if settings.clip:
            nn.utils.clip_grad_norm_(self._trained, settings.clip)
        self._optimizer.step()
        self._schedule.step()
        if self._average is not None:
            self._average.update()
        self._loss += loss.detach()

    def _batch(self, portion: Portion, mixture: Mixture) -> tuple[tuple[Tensor, ...], Target]:
        inputs = self._parts.augmenter(portion)
        labels = portion.pool.labels
        if labels is not None:
            labels = labels[portion.rows].to(self._parts.runner.device, non_blocking=True)
        if not self._parts.mixing.pairs:
            return inputs, Target(labels)
        mixed, share = self._parts.mixing(inputs, mixture)
        return mixed, Target() if labels is None else Target(labels[1:], labels[:-1], share)

    def _end(self, number: int, loss: float, begin: float) -> None:
        """An epoch has ended: validate, keep the weights if they are to be kept, and write it down.

        What a penalty is to bring about is there at the end, and may cost accuracy: then the last ones are
        kept, too. The start is no epoch; whether it was better is judged at the end.
        """
        module = self._module if self._average is None else self._average.module
        metric, validation_loss = self._parts.validator(module)
        best = self.history[self.best]
        seconds = self._seconds + time.perf_counter() - begin
        lr = self._schedule.get_last_lr()[0]
        self.history.append(Epoch(number, self._step, lr, loss, metric, validation_loss, seconds))
        better = not self.best or (metric, -validation_loss) > (best.metric, -best.validation_loss)
        ended_well = isfinite(loss) and isfinite(validation_loss)
        latest = self._settings.keep == "last" or self._parts.penalty is not None
        if ended_well and (better or latest):
            self.best = number
            self.best_state = {k: v.detach().to("cpu", copy=True) for k, v in module.state_dict().items()}
        self.diverged = not isfinite(loss)
        self._loss.zero_()
        self._seconds = 0.0
        self._note()
        self._save()

    def _note(self) -> None:
        parts, epoch = self._parts, self.history[-1]
        parts.journal.write(self.history)
        if parts.watch is not None:
            parts.watch.line(spelled(epoch, parts.validator.metric))

    def _tell(self, epoch: int) -> None:
        watch = self._parts.watch
        if watch is None:
            return
        watch.advance(self._step, self.steps)
        if time.monotonic() - self._told < _TELL_EVERY:
            return
        done = self._step - epoch * self.epoch_steps
        now = f"epoch {epoch + 1} of {-(-self.steps // self.epoch_steps)}"
        last, metric = self.history[-1], self._parts.validator.metric
        loss = f"loss {float(self._loss) * self._parts.processes.count / max(done, 1):.4f}"
        rate = f"lr {self._schedule.get_last_lr()[0]:.2g}"
        watch.tell(f"{now}, {loss}, {metric} {spelled_metric(metric, last.metric)}, {rate}")
        self._told = time.monotonic()

    def _agreed(self, stop: Stop) -> tuple[bool, bool]:
        """Whether any process was asked to stop, and whether the first one wants to save."""
        processes = self._parts.processes
        due = processes.leads and time.monotonic() - self._saved > self._settings.save_every
        if processes.count == 1:
            return stop.asked, due
        flags = torch.tensor([float(stop.asked), float(due)], device=self._parts.runner.device)
        asked, wanted = processes.sum(flags).tolist()
        return asked > 0, wanted > 0

    def _save(self) -> None:
        """Write a checkpoint; all processes come here together."""
        loss = self._parts.processes.sum(self._loss.clone())
        if self._parts.processes.leads and self._parts.checkpoint.kept:
            self._parts.checkpoint.save({**self._state(), "loss": loss})
        self._saved = time.monotonic()

    def _state(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "module": self._module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "seconds": self._seconds,
            "history": [epoch.to_dict() for epoch in self.history],
            "best": self.best,
            "best_state": self.best_state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._step = self.resumed = int(state["step"])
        self._module.load_state_dict(state["module"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self._loss.copy_(state["loss"] if self._parts.processes.leads else torch.zeros(()))
        self._seconds = float(state["seconds"])
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.best, self.best_state = int(state["best"]), state["best_state"]
        self.diverged = self.history[-1].number > 0 and not isfinite(self.history[-1].loss)


def spelled(epoch: Epoch, metric: str) -> str:
    """An epoch in one line."""
    head = f"epoch {epoch.number}: " if epoch.number else "start: "
    loss = f"loss {epoch.loss:.4f}, " if epoch.number else ""
    return f"{head}{loss}{metric} {spelled_metric(metric, epoch.metric)}, {epoch.seconds:.1f} s"
