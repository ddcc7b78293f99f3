"""The processes that train together, started by torchrun; usually there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from onnxprune.torch_graph.module import BatchNorm, OnnxModule
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


class _Summed(torch.autograd.Function):  # type: ignore[misc]
    """A tensor added up over all processes. Their losses are parts of one sum, so gradients add up too."""

    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


class SharedBatchNorm(BatchNorm):
    """Batch normalisation with the statistics of the whole batch, on every device.

    ``torch.nn.SyncBatchNorm`` does the same on CUDA alone.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the mean and variance over the samples of all processes."""
        if not self.training:
            return super().forward(x)
        axes = [axis for axis in range(x.dim()) if axis != 1]
        wide = x.double() if x.device.type == "cpu" else x.float()
        count = torch.full((1,), x.numel() / x.shape[1], dtype=wide.dtype, device=x.device)
        sums = torch.cat([wide.sum(axes), wide.square().sum(axes), count])
        sums = _Summed.apply(sums)
        total, squares, number = sums.split([x.shape[1], x.shape[1], 1])
        mean = total / number
        variance = (squares / number - mean.square()).clamp_min(0.0)
        self._keep(mean.detach(), (variance * number / (number - 1)).detach())
        shape = [1, -1, *[1] * (x.dim() - 2)]
        factor = self.weight * torch.rsqrt(variance + self.eps).to(self.weight.dtype)
        shift = self.bias - mean.to(self.bias.dtype) * factor
        return x * factor.to(x.dtype).view(shape) + shift.to(x.dtype).view(shape)

    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)


def share_statistics(module: OnnxModule) -> None:
    """Let the batch normalisations of a module take the statistics of all processes' samples."""
    for path, child in list(module.named_children()):
        if isinstance(child, BatchNorm):
            like = SharedBatchNorm(
                child.num_features, eps=child.eps, momentum=child.momentum, dtype=child.running_mean.dtype
            )
            like.weight, like.bias = child.weight, child.bias
            like.running_mean, like.running_var = child.running_mean, child.running_var
            like.num_batches_tracked = child.num_batches_tracked
            setattr(module, path, like.train(child.training))
