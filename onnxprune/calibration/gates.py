"""Derivatives by a factor on each unit, sample by sample, through torch.

With the factor at 1 the model is what it is, with 0 the unit is gone for every layer that reads it. For a
value ``x`` that is multiplied by the factor, the derivative is the sum of ``x * dL/dx`` over positions. All
samples of a run go through one backward pass, as the loss of one does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from onnxprune.calibration.carriers import Carrier
from onnxprune.calibration.evidence import Look
from onnxprune.calibration.losses import LOSSES, check_labels
from onnxprune.calibration.samples import Batch
from onnxprune.calibration.statistics import Gate, Loss, Statistic
from onnxprune.calibration.taps import Taps
from onnxprune.calibration.task import Found, Task
from onnxprune.calibration.units import by_sample, sum_by_unit
from onnxprune.coupling.groups import Floats
from onnxprune.model.constants import Array
from onnxprune.torch_graph import to_torch


def measure(task: Task, wanted: frozenset[Statistic]) -> Found:
    """Run the model forwards and backwards over the samples, once for each loss.

    Raises:
        UsageError: the samples have no labels, or the model no scores, where the loss needs them.
        InputError: the model has operators that cannot be turned into torch.
        MissingExtraError: torch is not installed.
    """
    return {statistic: _look(task, statistic.loss) for statistic in wanted if isinstance(statistic, Gate)}


def _look(task: Task, loss: Loss) -> Look:
    check_labels(task.samples, loss)
    carriers = task.carriers()
    sizes = {group.name: group.size for group in task.coupling.structure.groups}
    parts: dict[str, list[Floats]] = {group: [] for group in sizes}
    if carriers:
        taps = Taps(task.coupling, [reading for own in task.readings.values() for reading in own])
        outputs = [value.name for value in task.coupling.model.proto.graph.output]
        module = to_torch(taps.model(), outputs=[*outputs, *taps.values.values()])
        module.requires_grad_(False)
        rng = np.random.default_rng(task.seed)
        size = task.batch(task.samples, held=None, copies=1)
        with _threads(task.threads):
            for batch in task.samples.batches(size):
                found = _derivatives(module, taps, batch, loss, rng)
                for group, own in task.readings.items():
                    rows = [sum_by_unit(found[r.carrier], r.units, sizes[group]) for r in own]
                    parts[group].append(np.sum(rows, axis=0) if rows else np.zeros((len(batch), 0)))

    def look(group: str) -> tuple[Floats, ...]:
        return (np.concatenate(parts[group]),) if task.readings[group] else ()

    return look


def _derivatives(
    module: Any, taps: Taps, batch: Batch, loss: Loss, rng: np.random.Generator
) -> Mapping[Carrier, Array]:
    """Derivative by a factor on each channel of every carrier, (samples, channels)."""
    import torch

    feed = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in batch.feed.items()}
    with torch.enable_grad():
        results = module(**feed, **_ones(taps))
        inner = results[len(results) - len(taps.values) :]
        total = LOSSES[loss](results[: len(results) - len(inner)], batch, rng)
        slopes = torch.autograd.grad(total, inner, allow_unused=True)
    found = {}
    for carrier, value, slope in zip(taps.values, inner, slopes, strict=True):
        axes = [k for k in range(carrier.rank) if k not in (carrier.batch, carrier.channel)]
        product = torch.zeros_like(value) if slope is None else value.detach() * slope
        summed = product.float().sum(dim=axes) if axes else product.float()
        found[carrier] = by_sample(summed.numpy(), carrier, len(batch), total=True)
    return found


def _ones(taps: Taps) -> dict[str, Any]:
    """The factors: they ask for gradients, and so does all that depends on them."""
    import torch
    from onnx import helper

    return {
        name: torch.ones(
            (), dtype=getattr(torch, helper.tensor_dtype_to_np_dtype(kind).name)
        ).requires_grad_()
        for name, kind in taps.ones.items()
    }


@contextmanager
def _threads(wanted: int | None) -> Iterator[None]:
    """Let torch use so many threads for a while."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
