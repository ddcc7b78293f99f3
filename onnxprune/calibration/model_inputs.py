"""What a model has to be fed with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from onnxprune.errors import InputError
from onnxprune.model import Model
from onnxprune.model.naming import quoted

_IMAGE_RANK = 4

Dims = tuple[int | None, ...]
"""Sizes of axes, None where a size is open."""


@dataclass(frozen=True)
class ModelInput:
    """An input of a model that has no default.

    Attributes:
        name: of the value.
        dtype: element type as NumPy has it.
        dims: sizes of all axes; None for a tensor of unknown rank.
    """

    name: str
    dtype: np.dtype
    dims: Dims | None

    @property
    def row(self) -> Dims | None:
        """Sizes of the axes of one sample."""
        return None if self.dims is None else self.dims[1:]

    @property
    def is_image(self) -> bool:
        """Whether it takes numbers in four axes, as images come."""
        return self.dims is not None and len(self.dims) == _IMAGE_RANK and self.dtype != np.bool_

    def fits(self, row: tuple[int, ...]) -> bool:
        """Whether samples of this shape can be fed."""
        own = self.row
        return own is None or (
            len(own) == len(row) and all(want in (None, have) for want, have in zip(own, row, strict=True))
        )


def model_inputs(model: Model) -> tuple[ModelInput, ...]:
    """The inputs that have to be fed, in the order of the file.

    Raises:
        InputError: an input takes no numbers.
    """
    return tuple(_input(v) for v in model.proto.graph.input if v.name not in model.constants)


def classes_of(model: Model) -> int | None:
    """The number of classes that a classifier's output states, None where there is none to be seen."""
    shapes = [_dims(value) for value in model.proto.graph.output]
    flat = [dims for dims in shapes if dims is not None and len(dims) == 2]
    classes = flat[0][1] if len(flat) == 1 else None
    return None if classes == 1 else classes  # a single score tells two classes, or is no class at all


def _input(value: ValueInfoProto) -> ModelInput:
    kind = value.type.tensor_type.elem_type
    if not value.type.HasField("tensor_type") or kind in (TensorProto.UNDEFINED, TensorProto.STRING):
        raise InputError(
            f"The input {quoted(value.name)} of the model takes no numbers, so it cannot be run on samples."
        )
    wide = kind == TensorProto.BFLOAT16  # such models are run in single precision
    return ModelInput(
        value.name, helper.tensor_dtype_to_np_dtype(TensorProto.FLOAT if wide else kind), _dims(value)
    )


def _dims(value: ValueInfoProto) -> Dims | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
