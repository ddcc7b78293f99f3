"""Batch normalisation over the samples of all processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed

from onnxprune.torch_graph.module import BatchNorm, OnnxModule


class SharedBatchNorm(BatchNorm):
    """Batch normalisation with the statistics of the whole batch, on every device.

    ``torch.nn.SyncBatchNorm`` does the same on CUDA alone.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the mean and variance over the samples of all processes."""
        if not self.training:
            return super().forward(x)
        mean, variance, count = _statistics(x.detach(), like=self.running_mean)
        self._keep(mean, variance * count / (count - 1))
        found: Tensor = _Normalised.apply(x, self.weight, self.bias, mean, variance, count, self.eps)
        return found

    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
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


def _statistics(x: Tensor, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance of each channel over all processes, (channels,), and the values of a channel.

    Those of a process come from the kernel of torch's own batch normalisation; what crosses the processes is
    two numbers a channel, in double precision, as their squares are subtracted.
    """
    scratch = torch.zeros_like(like), torch.zeros_like(like)  # with them, statistics of halves are floats
    own_mean, own_variance = torch.ops.aten.batch_norm_update_stats(x, *scratch, 0.0)
    mean, variance = own_mean.double(), own_variance.double()
    sums = x.numel() // x.shape[1] * torch.cat([mean, variance + mean.square(), torch.ones_like(mean[:1])])
    distributed.all_reduce(sums)
    count = sums[-1]
    mean, squares = (sums[:-1] / count).chunk(2)
    variance = (squares - mean.square()).clamp_min(0.0)
    return mean.to(like.dtype), variance.to(like.dtype), count


class _Normalised(torch.autograd.Function):  # type: ignore[misc]
    """A normalisation by given statistics, whose gradient knows that they depend on all samples.

    The losses of processes are parts of one sum, so the sums over the samples of all processes that stand in
    the gradient of a sample are added up over the processes (Ioffe and Szegedy 2015, arXiv 1502.03167).
    """

    @staticmethod
    def forward(
        context: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        count: Tensor,
        eps: float,
    ) -> Tensor:
        context.save_for_backward(x, weight, mean, variance, count)
        context.eps = eps
        found: Tensor = torch.batch_norm(x, weight, bias, mean, variance, False, 0.0, eps, False)
        return found

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, count = context.saved_tensors
        eps = context.eps
        none = mean.new_empty(0)  # of a batch: given statistics are used as they are, as in evaluation
        through, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], x, weight, mean, variance, none, none, False, eps, [True, True, True]
        )
        sums = torch.cat([of_weight, of_bias])
        distributed.all_reduce(sums)
        inner, plain = (-weight.repeat(2) * sums / count).chunk(2)
        scale = torch.rsqrt(variance + eps)
        through += torch.batch_norm(x, inner * scale, plain * scale, mean, variance, False, 0.0, eps, False)
        return through, of_weight, of_bias, None, None, None, None
