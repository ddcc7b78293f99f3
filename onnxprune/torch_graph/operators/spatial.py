"""What convolutions and pools share: paddings, and functions of torch by the number of spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from onnxprune.torch_graph.call import Call

MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVERAGE_POOLS = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}

Pairs = list[tuple[int, int]]
"""What is added before and after each spatial axis."""


class Window(NamedTuple):
    """How a kernel moves over the spatial axes.

    Attributes:
        kernel: its lengths.
        strides: steps.
        dilations: distances between its elements.
        pads: ends of the axes, all beginnings first, as ONNX stores them; None for automatic ones.
        auto_pad: as in ONNX.
        ceil_mode: whether a last window may reach beyond the padding.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...] | None
    auto_pad: str = "NOTSET"
    ceil_mode: bool = False

    @property
    def symmetric(self) -> tuple[int, ...] | None:
        """The padding of each axis where it is known and the same at both ends, else None."""
        if self.pads is None:
            return None
        rank = len(self.kernel)
        return self.pads[:rank] if self.pads[:rank] == self.pads[rank:] else None

    def pairs(self, lengths: Sequence[int]) -> Pairs:
        """The padding of every axis for spatial axes of given lengths."""
        if self.pads is not None:
            rank = len(self.kernel)
            return list(zip(self.pads[:rank], self.pads[rank:], strict=True))
        return [
            same_pads(n, k, s, d, upper=self.auto_pad == "SAME_UPPER")
            for n, k, s, d in zip(lengths, self.kernel, self.strides, self.dilations, strict=True)
        ]


def same_pads(length: int, kernel: int, stride: int, dilation: int, *, upper: bool) -> tuple[int, int]:
    """The padding with which an axis has ``ceil(length / stride)`` windows; the odd one goes to the end."""
    total = max((-(-length // stride) - 1) * stride + (kernel - 1) * dilation + 1 - length, 0)
    return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)


def window_of(call: Call, kernel: Sequence[int]) -> Window:
    """The window of a node from its attributes."""
    rank = len(kernel)
    auto_pad = call.attribute("auto_pad", "NOTSET")
    zeros = (0,) * 2 * rank
    pads: tuple[int, ...] | None = tuple(call.attribute("pads", zeros)) if auto_pad == "NOTSET" else None
    return Window(
        tuple(kernel),
        tuple(call.attribute("strides", (1,) * rank)),
        tuple(call.attribute("dilations", (1,) * rank)),
        zeros if auto_pad == "VALID" else pads,
        auto_pad,
        bool(call.attribute("ceil_mode", 0)),
    )


def padded(x: Tensor, pairs: Pairs, value: float = 0.0) -> Tensor:
    """Pad the trailing axes."""
    amounts = [amount for pair in reversed(pairs) for amount in pair]
    return functional.pad(x, amounts, value=value) if any(amounts) else x


__all__ = ["AVERAGE_POOLS", "CONVOLUTIONS", "MAX_POOLS", "TRANSPOSED", "Window", "padded", "window_of"]
