"""Whether a graph that was exported for one batch size computes the same for others.

Many such graphs do: nothing in them knows the batch but the target of a Reshape, which is set free while the
module is built. In others it went into constants that cannot be told from the rest, such as a class token
that is there once. Some of these would not fail on another batch but return wrong values, so it is tried.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from onnx import ValueInfoProto
from torch import Tensor

from onnxprune.model.model import Model
from onnxprune.torch_graph.module import OnnxModule
from onnxprune.torch_graph.operators.shapes import DTYPES

_TOLERANCE = 1e-3
"""Relative; sums of many terms change their order with the batch."""


def required_batch(module: OnnxModule, model: Model) -> int | None:
    """The batch size that the inputs of a module must have, None where any will do.

    Args:
        module: in evaluation mode.
        model: its source, all dims of whose inputs are static.
    """
    inputs = [value for value in model.proto.graph.input if value.name not in model.constants]
    sizes = {value.type.tensor_type.shape.dim[0].dim_value for value in inputs if _rank(value)}
    if len(sizes) != 1 or any(value.type.tensor_type.elem_type not in DTYPES for value in inputs):
        return None
    (size,) = sizes
    generator = torch.Generator().manual_seed(0)
    parts = [[_drawn(value, generator) for value in inputs] for _ in range(2)]
    joined = [torch.cat(both) if both[0].dim() else both[0] for both in zip(*parts, strict=True)]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            halves = [_outputs(module(*part)) for part in parts]
            whole = _outputs(module(*joined))
            free = all(_is_joined(y, both) for *both, y in zip(*halves, whole, strict=True))
        except Exception:  # torch raises many kinds where shapes do not fit
            free = False
    return None if free else int(size)


def _rank(value: ValueInfoProto) -> int:
    return len(value.type.tensor_type.shape.dim)


def _drawn(value: ValueInfoProto, generator: torch.Generator) -> Tensor:
    """Normal numbers, or zeros and ones where an input takes integers; one where it is a single number."""
    kind = value.type.tensor_type
    dtype, shape = DTYPES[kind.elem_type], [dim.dim_value for dim in kind.shape.dim]
    if not shape:
        return torch.ones(shape, dtype=dtype)
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    return torch.randint(0, 2, shape, generator=generator).to(dtype)


def _outputs(found: Any) -> Sequence[Tensor]:
    return found if isinstance(found, tuple) else (found,)


def _is_joined(whole: Tensor, halves: Sequence[Tensor]) -> bool:
    """Whether a result is that of two halves one after the other along some axis, or knows no batch."""
    candidates = (torch.cat(list(halves), axis) for axis in range(whole.dim()))
    same = [halves[0]] if _close(halves[0], halves[1]) else []
    return any(_close(whole, wanted) for wanted in chain(same, candidates))


def _close(found: Tensor, wanted: Tensor) -> bool:
    if found.shape != wanted.shape:
        return False
    found, wanted = found.double(), wanted.double()
    finite = wanted[wanted.isfinite()]
    limit = _TOLERANCE * float(finite.abs().max()) if finite.numel() else 0.0
    return bool(torch.allclose(found, wanted, rtol=_TOLERANCE, atol=limit, equal_nan=True))
