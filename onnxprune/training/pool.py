"""Samples as tensors: all of them in memory where they fit, else the next ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from onnxprune.calibration import Samples
from onnxprune.calibration.choosing import taken
from onnxprune.coupling.groups import Indices
from onnxprune.model.constants import Array

HELD_BYTES = 2 << 30
"""Inputs that stay in memory; of more, as much is read at a time."""

DEVICE_SHARE = 0.25
"""Of the free memory of an accelerator that inputs may take."""

_READ = 256


@dataclass(frozen=True, eq=False)
class Pool:
    """Samples as tensors.

    Attributes:
        inputs: one tensor an input, samples along the first axis.
        labels: (samples,) classes, None where there are none.
    """

    inputs: tuple[Tensor, ...]
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.inputs[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the inputs."""
        return sum(x.numel() * x.element_size() for x in self.inputs)

    def to(self, device: torch.device) -> Pool:
        """The same on a device."""
        labels = None if self.labels is None else self.labels.to(device, non_blocking=True)
        return Pool(tuple(x.to(device, non_blocking=True) for x in self.inputs), labels)


@dataclass(frozen=True, eq=False)
class Portion:
    """The samples of a step.

    Attributes:
        pool: that they are in.
        rows: where in the pool.
        positions: their numbers among all samples.
    """

    pool: Pool
    rows: Tensor
    positions: Tensor


def read(samples: Samples, names: Sequence[str], *, pinned: bool = False) -> Pool:
    """All samples as tensors.

    Args:
        samples: with one array for each input.
        names: of the inputs, in the module's order.
        pinned: whether the memory is one that an accelerator copies from without waiting.
    """
    inputs: list[Tensor] = []
    labels = torch.empty(samples.count, dtype=torch.int64) if samples.labelled else None
    start = 0
    for batch in samples.batches(_READ):
        arrays = [tensor_of(batch.feed[name]) for name in names]
        stop = start + len(batch)
        if not inputs:
            shapes = [(samples.count, *x.shape[1:]) for x in arrays]
            inputs = [torch.empty(s, dtype=x.dtype) for s, x in zip(shapes, arrays, strict=True)]
        for whole, part in zip(inputs, arrays, strict=True):
            whole[start:stop] = part
        if labels is not None:
            labels[start:stop] = torch.from_numpy(np.asarray(batch.labels).reshape(-1).astype(np.int64))
        start = stop
    made = Pool(tuple(inputs), labels)
    return Pool(tuple(x.pin_memory() for x in inputs), labels) if pinned else made


def tensor_of(values: Array) -> Tensor:
    """An array as a tensor; half precision is widened, as parameters are for training."""
    wide = values.astype(np.float32) if values.dtype == np.float16 else values
    return torch.from_numpy(np.ascontiguousarray(wide))


class Feeder:
    """Gives the samples of one step after the other.

    Args:
        samples: of the training.
        names: of the inputs.
        device: that portions are on.
        bound: bytes of inputs that may be in memory.
    """

    def __init__(
        self, samples: Samples, names: Sequence[str], device: torch.device, *, bound: int | None = None
    ) -> None:
        self._samples = samples
        self._names = tuple(names)
        self._device = device
        self._bound = HELD_BYTES if bound is None else bound
        self._each = max(1, read(samples.part(0, 1), names).nbytes)
        self.held: Pool | None = None
        if self._each * samples.count <= self._bound:
            pool = read(samples, names)
            self.held = pool.to(device) if self._fits_device(pool.nbytes) else pool

    @property
    def count(self) -> int:
        """Number of samples."""
        return self._samples.count

    @property
    def first(self) -> Pool:
        """The first samples, to find out about them."""
        return self.held or read(self._samples.part(0, min(self.count, _READ)), self._names)

    def portions(self, plan: Sequence[Indices]) -> Iterator[Portion]:
        """The samples of each step.

        Args:
            plan: for each step the positions of its samples.
        """
        if self.held is not None:
            for positions in plan:
                numbers = torch.from_numpy(positions)
                rows = numbers.to(self.held.inputs[0].device, non_blocking=True)
                yield Portion(self.held, rows, numbers.to(self._device, non_blocking=True))
            return
        start = 0
        while start < len(plan):
            stop = self._reach(plan, start)
            yield from self._read(plan[start:stop])
            start = stop

    def _read(self, plan: Sequence[Indices]) -> Iterator[Portion]:
        """Steps whose samples are read in one go, in the order in which they are stored."""
        wanted = np.unique(np.concatenate(list(plan)))
        pool = read(taken(self._samples, wanted), self._names)
        for positions in plan:
            rows = torch.from_numpy(np.searchsorted(wanted, positions))
            yield Portion(pool, rows, torch.from_numpy(positions).to(self._device, non_blocking=True))

    def _reach(self, plan: Sequence[Indices], start: int) -> int:
        """Behind the last step whose samples fit into memory beside those before; one step always does."""
        room = self._bound // self._each
        stop = start
        while stop < len(plan) and (stop == start or room >= len(plan[stop])):
            room -= len(plan[stop])
            stop += 1
        return stop

    def _fits_device(self, nbytes: int) -> bool:
        if self._device.type != "cuda":
            return True
        free, _ = torch.cuda.mem_get_info(self._device)
        return bool(nbytes <= DEVICE_SHARE * free)
