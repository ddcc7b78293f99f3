"""Tensors of the source file: where their bytes lie, and what they hold."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from onnxprune.errors import InputError
from onnxprune.model import wire
from onnxprune.model.constants import PACKED, Array, Constant
from onnxprune.model.naming import quoted

_DESCRIBED = TensorProto.DESCRIPTOR.fields_by_name
RAW_DATA: int = _DESCRIBED["raw_data"].number
_TYPED_DATA = {
    _DESCRIBED[name].number: name
    for name in ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
}
ELEMENT_TYPES = frozenset(TensorProto.DataType.values()) - {TensorProto.UNDEFINED}
"""That the installed onnx knows."""

_COMPLEX = (TensorProto.COMPLEX64, TensorProto.COMPLEX128)
_MOST_BYTES = 1 << 62
_DAMAGED = "The file is damaged or was written wrongly; export the model again."


class SourceTensor:
    """A tensor message as the source stores it, parsed no further than it is needed.

    Calling it gives the whole tensor, so it serves as ``Constant.original``.

    Attributes:
        message: the serialized ``TensorProto``; empty once the values come from an external file.
        header: the same without its values.
        raw: the values as stored in ``raw_data`` or in an external file; None where there are none.
    """

    def __init__(self, message: memoryview) -> None:
        self.message = message
        self.raw: memoryview | None = None
        self._typed = ""
        light: list[wire.Piece] = []
        for field in wire.fields(message):
            if field.number == RAW_DATA and field.kind == wire.LENGTH:
                self.raw = message[field.payload : field.end]
            elif field.number in _TYPED_DATA:
                self._typed = _TYPED_DATA[field.number]
            else:
                light.append(message[field.start : field.end])
        if self._typed and not self.raw:
            self.raw = None  # some writers state an empty raw_data besides
        self.header = TensorProto.FromString(b"".join(light))
        check_header(self.header)

    @property
    def is_external(self) -> bool:
        """Whether the values lie in another file."""
        return bool(self.header.data_location == TensorProto.EXTERNAL)

    @property
    def shape(self) -> tuple[int, ...]:
        """Dims of the tensor."""
        return tuple(self.header.dims)

    @property
    def nbytes(self) -> int:
        """Bytes that the values take in ``raw_data``; of strings, their number."""
        return stored_bytes(self.header)

    def place(self, raw: memoryview) -> None:
        """Make these bytes of an external file the tensor's values."""
        self.raw = raw
        self.header.ClearField("data_location")
        del self.header.external_data[:]
        self.message = memoryview(b"")

    def check_length(self) -> None:
        """Compare the amount of stored data with the dims.

        Raises:
            InputError: where they differ.
        """
        if self.raw and self._typed and self.message:
            raise self._mismatch(f"it holds both raw_data and {self._typed}")
        if self.raw is not None and self.header.data_type != TensorProto.STRING:
            stored, expected, unit = len(self.raw), self.nbytes, "bytes"
        else:
            stored = self._typed_count()
            expected, unit = self._typed_length(), "values"
        if stored != expected:
            raise self._mismatch(f"it holds {stored:,} {unit} instead of {expected:,}")

    def _typed_count(self) -> int:
        try:
            return len(getattr(self(), self._typed)) if self._typed else 0
        except DecodeError as exc:
            raise self._mismatch(str(exc)) from exc

    def _typed_length(self) -> int:
        elements = math.prod(self.shape)
        if self.header.data_type in PACKED:
            return self.nbytes
        return 2 * elements if self.header.data_type in _COMPLEX else elements

    def _mismatch(self, detail: str) -> InputError:
        kind = TensorProto.DataType.Name(self.header.data_type)
        return InputError(
            f"The data of tensor {quoted(self.header.name)} do not fit its type {kind} "
            f"and shape {list(self.shape)}: {detail}.",
            hint=_DAMAGED,
        )

    def read(self) -> Array:
        """The values, shape ``shape``, read-only.

        Raises:
            InputError: where the stored data do not fit the dims.
        """
        if self.raw is None or self.header.data_type in PACKED:
            return self._converted
        dtype = helper.tensor_dtype_to_np_dtype(self.header.data_type)
        values = np.frombuffer(self.raw, dtype).reshape(self.shape)
        if values.flags.aligned:
            return values
        values = values.copy()  # NumPy is about five times slower on unaligned elements
        values.flags.writeable = False
        return values

    @cached_property
    def _converted(self) -> Array:
        try:
            values: Array = np.asarray(numpy_helper.to_array(self()))
        except (ValueError, TypeError) as exc:
            raise self._mismatch(str(exc)) from exc
        values.flags.writeable = False
        return values

    def __call__(self) -> TensorProto:
        """The tensor as the source spells it, values of an external file included."""
        if self.message:
            return TensorProto.FromString(bytes(self.message))
        tensor = TensorProto()
        tensor.CopyFrom(self.header)
        tensor.raw_data = bytes(self.raw or b"")
        return tensor

    def constant(self, name: str) -> Constant:
        """The tensor as the constant of the given name."""
        return Constant(name, self.shape, self.header.data_type, self.read, self)


def stored_bytes(header: TensorProto) -> int:
    """Bytes that a tensor of these dims and element type takes in ``raw_data``."""
    constant = Constant(header.name, (), header.data_type, lambda: np.zeros(()))
    elements: int = math.prod(header.dims)
    eighths = elements * int(8 * constant.itemsize)  # in integers: dims may be absurd
    return -(-eighths // 8)


def check_header(header: TensorProto) -> None:
    """Refuse a tensor whose name, element type or dims make no sense.

    Raises:
        InputError: naming the tensor.
    """
    fault = ""
    if not isinstance(header.name, str):
        fault = "has a name that is not UTF-8 text"
    elif header.data_type not in ELEMENT_TYPES:
        fault = f"has the element type {header.data_type}, which this version of onnx does not know"
    elif any(dim < 0 for dim in header.dims):
        fault = f"has a negative size in its shape {list(header.dims)}"
    elif stored_bytes(header) > _MOST_BYTES:
        fault = f"has the shape {list(header.dims)}, more than any memory holds"
    if fault:
        raise InputError(f"Tensor {quoted(header.name)} {fault}.", hint=_DAMAGED)
