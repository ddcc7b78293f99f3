"""The processes that train together, started by torchrun; usually there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from onnxprune.training.launch import started_by_torchrun


@dataclass(frozen=True)
class Processes:
    """This process among those that share the work.

    Attributes:
        rank: number of this one; only 0 prints and writes.
        count: of all.
    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def share(self, size: int) -> tuple[int, int]:
        """Where this process's part of a batch begins and ends."""
        return size * self.rank // self.count, size * (self.rank + 1) // self.count

    def sum(self, value: Tensor) -> Tensor:
        """A tensor added up over all processes, in place."""
        if self.count > 1:
            distributed.all_reduce(value)
        return value

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Add up the gradients of all processes; parts of one loss are summed, not averaged."""
        found = [p.grad for p in parameters if p.grad is not None]
        if self.count == 1 or not found:
            return
        flat = torch.cat([grad.reshape(-1) for grad in found])
        distributed.all_reduce(flat)
        parts = flat.split([grad.numel() for grad in found])
        for grad, part in zip(found, parts, strict=True):
            grad.copy_(part.view_as(grad))

    def same(self, tensors: Sequence[Tensor]) -> None:
        """Give all processes the first one's values."""
        if self.count > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), 0)

    def told(self, value: Any) -> Any:
        """What the first process has, in all of them."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, 0)
        return box[0]


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun has started; alone otherwise. Leaves them at the end.

    A process group that the caller has set up is used and left as it is.
    """
    own = started_by_torchrun() and not distributed.is_initialized()
    if own:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        together = distributed.is_available() and distributed.is_initialized()
        yield Processes(distributed.get_rank(), distributed.get_world_size()) if together else Processes()
    finally:
        if own:
            distributed.destroy_process_group()
