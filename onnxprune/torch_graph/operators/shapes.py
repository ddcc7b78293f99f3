"""Sizes, ranges and filled tensors; casts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.registry import Ints, Number, emitter, operator

DTYPES = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.UINT16: torch.uint16,
    TensorProto.UINT32: torch.uint32,
    TensorProto.UINT64: torch.uint64,
    TensorProto.BOOL: torch.bool,
}
"""Element types that torch has."""

_EACH = (19, 21, 23, 24, 25)
"""Versions that only added element types."""


@operator("Identity", 1, 13, 14, 16, *_EACH)
def identity(x: Tensor) -> Tensor:
    """The tensor itself."""
    return x


@emitter("Cast", 6, 9, 13, *_EACH)
def cast(call: Call) -> Any:
    """To another element type; floats become integers by cutting off what follows the point."""
    dtype = DTYPES.get(call.attribute("to"))
    if dtype is None:
        raise call.unsupported(f"to the type {TensorProto.DataType.Name(call.attribute('to'))}")
    return call.emit(to_type, call.tensor(0), dtype)


def to_type(x: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor as another element type."""
    return x.to(dtype)


@operator("CastLike", 15, *_EACH)
def cast_like(x: Tensor, like: Tensor, *, saturate: int = 1, round_mode: str = "up") -> Tensor:
    """A tensor as the element type of another."""
    return x.to(like.dtype)


@operator("Shape", 1, 13, 15, *_EACH)
def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """The lengths of the axes as a tensor."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64, device=x.device)


@operator("Size", 1, 13, *_EACH)
def size(x: Tensor) -> Tensor:
    """The number of elements as a tensor."""
    return torch.tensor(x.numel(), dtype=torch.int64, device=x.device)


@emitter("ConstantOfShape", 9, 20, 21, 23, 24, 25)
def constant_of_shape(call: Call) -> Any:
    """One value everywhere."""
    value = call.attribute("value", np.zeros(1, np.float32))
    fill = call.builder.tensor_of(f"{call.node.output[0]}.value", value.reshape(()))
    return call.emit(expand_to, fill, call.ints(0))


def expand_to(x: Tensor, shape: Ints) -> Tensor:
    """One element repeated to a shape."""
    return x.expand(shape)


@emitter("Range", 11)
def range_of(call: Call) -> Any:
    """From the start in steps of delta as long as the limit is not reached."""
    bounds = [call.number(i) for i in range(3)]
    dtype = next((known.dtype for known in map(call.known, range(3)) if known is not None), np.dtype("int64"))
    return call.emit(arange, *bounds, dtype=getattr(torch, dtype.name), like=call.builder.any_input)


def arange(start: Number, limit: Number, delta: Number, *, dtype: torch.dtype, like: Tensor | None) -> Tensor:
    """A range on the device of another tensor; the type is that of a bound which is a tensor."""
    bounds = (start, limit, delta)
    kind = next((bound.dtype for bound in bounds if isinstance(bound, Tensor)), dtype)
    numbers = [bound.item() if isinstance(bound, Tensor) else bound for bound in bounds]
    return torch.arange(*numbers, dtype=kind, device=None if like is None else like.device)


@operator("EyeLike", 9, 22)
def eye_like(x: Tensor, *, dtype: int | None = None, k: int = 0) -> Tensor:
    """Ones on a diagonal."""
    rows, columns = x.shape
    kind = x.dtype if dtype is None else DTYPES[dtype]
    row = torch.arange(rows, device=x.device).unsqueeze(1)
    return (torch.arange(columns, device=x.device) - row == k).to(kind)
