"""Small functions that generated code calls while the module runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def to_ints(x: Tensor) -> list[int]:
    """The elements of a tensor of any shape as a list of integers."""
    return [int(element) for element in x.reshape(-1).tolist()]


def to_floats(x: Tensor) -> list[float]:
    """The elements of a tensor of any shape as a list of numbers."""
    return [float(element) for element in x.reshape(-1).tolist()]


def to_int(x: Tensor) -> int:
    """The one element of a tensor as an integer."""
    return int(x.item())


def from_ints(elements: Sequence[Any], shape: Sequence[int], like: Tensor | None) -> Tensor:
    """Integers as a tensor of int64 of a shape, on the device of another tensor."""
    device = None if like is None else like.device
    return torch.tensor(list(elements), dtype=torch.int64, device=device).reshape(tuple(shape))
