"""Builds the networks in torch: channels first, modules made on a first pass and used on later ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from networks import Network
from torch import Tensor, nn
from torch.nn import functional as F


class Built(nn.Module):
    """A network as a module; the builder that its program is given."""

    def __init__(self, network: Network, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.network = network
        self.parts = nn.ModuleList()
        self.building, self.place = True, 0
        with torch.no_grad():
            self.forward(torch.randn(2, *channels_first(network.shape)))
        self.building = False
        self.eval()
        randomise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.place = 0
        return self.network.program(self, x)

    def part(self, make: Callable[[], nn.Module]) -> Any:
        """The module at this place of the program."""
        if self.building:
            self.parts.append(make())
        self.place += 1
        return self.parts[self.place - 1]

    def channels(self, x: Tensor) -> int:
        return x.shape[1]

    def conv(self, x: Tensor, filters: int, kernel: int, stride: int = 1, *, bias: bool = True) -> Tensor:
        return self.part(lambda: nn.Conv2d(x.shape[1], filters, kernel, stride, kernel // 2, bias=bias))(x)

    def depthwise(self, x: Tensor, kernel: int, stride: int, *, bias: bool = False) -> Tensor:
        n = x.shape[1]
        return self.part(lambda: nn.Conv2d(n, n, kernel, stride, kernel // 2, groups=n, bias=bias))(x)

    def patches(self, x: Tensor, filters: int, size: int) -> Tensor:
        return self.part(lambda: nn.Conv2d(x.shape[1], filters, size, size))(x)

    def transposed(self, x: Tensor, filters: int) -> Tensor:
        return self.part(lambda: nn.ConvTranspose2d(x.shape[1], filters, 2, 2))(x)

    def conv1d(self, x: Tensor, filters: int, kernel: int, stride: int = 1) -> Tensor:
        return self.part(lambda: nn.Conv1d(x.shape[1], filters, kernel, stride, kernel // 2))(x)

    def norm(self, x: Tensor) -> Tensor:
        kind = nn.BatchNorm2d if x.ndim == 4 else nn.BatchNorm1d
        return self.part(lambda: kind(x.shape[1], eps=1e-3))(x)

    def layer_norm(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1) if x.ndim == 4 else x
        y = self.part(lambda: nn.LayerNorm(last.shape[-1], eps=1e-3))(last)
        return y.permute(0, 3, 1, 2) if x.ndim == 4 else y

    def scale(self, x: Tensor) -> Tensor:
        return x * self.part(lambda: Constant(torch.empty(x.shape[1], 1, 1).uniform_(0.2, 0.6))).value

    def position(self, x: Tensor) -> Tensor:
        return x + self.part(lambda: Constant(torch.randn(1, *x.shape[1:]) * 0.02)).value

    def dense(self, x: Tensor, units: int) -> Tensor:
        return self.part(lambda: nn.Linear(x.shape[-1], units))(x)

    def pointwise(self, x: Tensor, units: int) -> Tensor:
        return self.dense(x.permute(0, 2, 3, 1), units).permute(0, 3, 1, 2)

    def attention(self, x: Tensor, heads: int) -> Tensor:
        n = x.shape[-1]
        q, k, v = (self.heads(self.dense(x, n), heads) for _ in range(3))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.dense(y.transpose(1, 2).flatten(2), n)

    def heads(self, x: Tensor, heads: int) -> Tensor:
        return x.unflatten(-1, (heads, x.shape[-1] // heads)).transpose(1, 2)

    def lstm(self, x: Tensor, units: int) -> Tensor:
        return self.part(lambda: nn.LSTM(x.shape[1], units, batch_first=True))(x.transpose(1, 2))[0][:, -1]

    def tokens(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)

    def token_mean(self, x: Tensor) -> Tensor:
        return x.mean(1)

    def max_pool(self, x: Tensor, size: int | tuple[int, int]) -> Tensor:
        return F.max_pool2d(x, size)

    def max_pool1d(self, x: Tensor, size: int) -> Tensor:
        return F.max_pool1d(x, size)

    def avg_pool(self, x: Tensor, size: int) -> Tensor:
        return F.avg_pool2d(x, size)

    def global_pool(self, x: Tensor, *, keep: bool = False) -> Tensor:
        y = F.adaptive_avg_pool2d(x, 1)
        return y if keep else y.flatten(1)

    def global_pool1d(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(x, 1).flatten(1)

    def upsample(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="nearest")

    def concat(self, values: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(values), dim=1)

    def flatten(self, x: Tensor) -> Tensor:
        return torch.flatten(x, 1)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y

    def relu(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def relu6(self, x: Tensor) -> Tensor:
        return F.relu6(x)

    def gelu(self, x: Tensor) -> Tensor:
        return F.gelu(x)

    def silu(self, x: Tensor) -> Tensor:
        return F.silu(x)

    def sigmoid(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def softmax(self, x: Tensor) -> Tensor:
        return F.softmax(x, dim=-1)


class Constant(nn.Module):
    """A parameter on its own."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = nn.Parameter(value)


def channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without batch, channels moved from the end to the front."""
    return (shape[-1], *shape[:-1])


def randomise(model: nn.Module) -> None:
    """Give every vector values of its own: exporters merge equal constants and drop zeros."""
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.ndim == 1:
                    parameter.normal_(1.0 if name == "weight" else 0.0, 0.1)
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
