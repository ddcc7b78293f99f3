"""How good a module is on the samples that are held back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import inf, log10

import torch
from torch import Tensor, nn
from torch.nn import functional

from onnxprune.errors import UsageError
from onnxprune.training.heads import Form, form_of
from onnxprune.training.pool import Pool
from onnxprune.training.processes import Processes
from onnxprune.training.student import Runner, Student
from onnxprune.training.teaching import Teaching


class Validator:
    """Measures modules on the same samples.

    Args:
        pool: all samples; each process takes its share.
        student: whose first output is judged.
        teaching: how its teacher is asked, None without one.
        runner: for the device.
        processes: that share the work.

    Raises:
        UsageError: there are neither labels nor a teacher.
    """

    def __init__(
        self, pool: Pool, student: Student, teaching: Teaching | None, runner: Runner, processes: Processes
    ) -> None:
        self.count = len(pool)
        start, stop = processes.share(self.count)
        labels = None if pool.labels is None else pool.labels[start:stop].to(runner.device)
        self._pool = Pool(tuple(x[start:stop] for x in pool.inputs), labels)
        self._runner = runner
        self._processes = processes
        self._form = student.form
        self._wanted = self._truths(student, teaching)
        labelled = pool.labels is not None and student.form.classes
        self.metric = "accuracy" if labelled else "agreement" if student.form.classes else "sqnr"

    def __call__(self, module: nn.Module) -> tuple[float, float]:
        """The metric, the higher the better, and the loss of a module."""
        module.eval()
        sums = torch.zeros(3, dtype=torch.float64, device=self._runner.device)
        measure = _MEASURES[self.metric]
        outputs = self._runner.all(module, self._pool) if len(self._pool) else iter(())
        for (_, found), wanted in zip(outputs, self._wanted(), strict=True):
            sums += measure(self._form, found[0], wanted)
        first, second, count = self._processes.sum(sums).tolist()
        if self.metric == "sqnr":
            return (10 * log10(first / second) if second else inf), second / max(first, 1e-300)
        return first / count, second / count

    def _truths(self, student: Student, teaching: Teaching | None) -> Callable[[], Iterator[Tensor]]:
        """What each batch is compared with: labels, or what the teacher says."""
        size = self._runner.at_once
        labels = self._pool.labels
        if labels is not None and student.form.classes:
            return lambda: iter(labels.split(size)) if len(labels) else iter(())
        if teaching is None:
            raise UsageError(
                "The samples for the validation have no labels, and there is no teacher.",
                hint="Give them labels, or leave them out: a share of the training data is held back then.",
            )
        if not student.form.classes or not len(self._pool):
            return lambda: (taught[0] for taught in teaching.all(self._pool))
        taught = [form_of(t[0]).scores(t[0]) for t in teaching.all(self._pool)]
        return lambda: iter(taught)


def _accuracy(form: Form, found: Tensor, labels: Tensor) -> Tensor:
    scores = form.scores(found)
    hits = (scores.argmax(1) == labels).sum()
    return _sums(hits, functional.cross_entropy(scores, labels, reduction="sum"), len(labels))


def _agreement(form: Form, found: Tensor, taught: Tensor) -> Tensor:
    scores = form.scores(found)
    hits = (scores.argmax(1) == taught.argmax(1)).sum()
    wanted = functional.log_softmax(taught, 1)
    apart = functional.kl_div(functional.log_softmax(scores, 1), wanted, reduction="sum", log_target=True)
    return _sums(hits, apart, len(scores))


def _signal_to_noise(form: Form, found: Tensor, taught: Tensor) -> Tensor:
    signal = taught.double().square().sum()
    return _sums(signal, (found.double() - taught.double()).square().sum(), len(found))


_MEASURES: Mapping[str, Callable[[Form, Tensor, Tensor], Tensor]] = {
    "accuracy": _accuracy,
    "agreement": _agreement,
    "sqnr": _signal_to_noise,
}
"""What a batch adds, (3,): hits or signal, loss or noise, samples."""


def spelled_metric(name: str, value: float) -> str:
    """A value of a metric with its unit."""
    return f"{value:.1f} dB" if name == "sqnr" else f"{100 * value:.2f} %"


def _sums(first: Tensor, second: Tensor, count: int) -> Tensor:
    found: Tensor = torch.stack([first.double(), second.double(), first.new_full((), count).double()])
    return found
