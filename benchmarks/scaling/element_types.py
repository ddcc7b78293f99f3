"""Small networks in every element type, and in every way in which weights are stored in another one."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, helper, numpy_helper

from scaling.draft import Draft

HIDDEN = 16
_OPSET = 22
"""The first in which all operators know bfloat16."""
_PACKED_FLOATS_OPSET, _TWO_BITS_OPSET = 23, 25


def convolutions(dtype: npt.DTypeLike) -> ModelProto:
    """Two convolutions and a dense layer, everything in one element type."""
    draft = Draft(_OPSET, dtype)
    draft.node("Conv", ["x", draft.weight("w1", HIDDEN, 3, 3, 3), draft.weight("b1", HIDDEN)], "a")
    draft.node("Relu", ["a"], "b")
    draft.node("Conv", ["b", draft.weight("w2", HIDDEN, HIDDEN, 3, 3)], "c")
    draft.node("GlobalAveragePool", ["c"], "d")
    draft.node("Flatten", ["d"], "e")
    draft.node("Gemm", ["e", draft.weight("w3", 4, HIDDEN)], "y", transB=1)
    return draft.model(["n", 3, 8, 8], ["n", 4])


def perceptron(dtype: npt.DTypeLike) -> ModelProto:
    """Matrix products and a sum, everything in one element type."""
    draft = Draft(_OPSET, dtype)
    draft.node("MatMul", ["x", draft.weight("w1", 8, HIDDEN)], "a")
    draft.node("Add", ["a", draft.weight("b1", HIDDEN)], "b")
    draft.node("MatMul", ["b", draft.weight("w2", HIDDEN, 4)], "y")
    return draft.model(["n", 8], ["n", 4])


def integer_product(dtype: npt.DTypeLike) -> ModelProto:
    """The same of whole numbers."""
    model = perceptron(dtype)
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        values = rng.integers(0, 100, tuple(tensor.dims)).astype(dtype)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def cast(dtype: npt.DTypeLike) -> ModelProto:
    """Weights that a Cast turns into float32."""
    return _stored(
        dtype, lambda draft, name: draft.node("Cast", [f"{name}.stored"], name, to=TensorProto.FLOAT)
    )


def dequantised(dtype: npt.DTypeLike) -> ModelProto:
    """Weights with a scale for each row, which DequantizeLinear turns into float32."""

    def read(draft: Draft, name: str) -> str:
        scale = np.linspace(0.01, 0.02, HIDDEN, dtype=np.float32)
        return draft.node(
            "DequantizeLinear", [f"{name}.stored", draft.constant(f"{name}.scale", scale)], name, axis=0
        )

    return _stored(dtype, read)


def _stored(dtype: npt.DTypeLike, read: Callable[[Draft, str], str]) -> ModelProto:
    draft = Draft(_TWO_BITS_OPSET if np.dtype(dtype).name in ("int2", "uint2") else _PACKED_FLOATS_OPSET)
    value = "x"
    for name, shape in (("w1", (HIDDEN, 3, 3, 3)), ("w2", (HIDDEN, HIDDEN, 3, 3))):
        _store(draft, f"{name}.stored", shape, np.dtype(dtype))
        value = draft.node("Conv", [value, read(draft, name)], f"{name}.conv")
        value = draft.node("Relu", [value], f"{name}.relu")
    draft.node("Conv", [value, draft.weight("w3", 4, HIDDEN, 1, 1)], "y")
    return draft.model(["n", 3, 8, 8], ["n", 4, 4, 4])


def _store(draft: Draft, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    values = draft.rng.standard_normal(shape)
    if dtype.kind == "b":
        values = values > 0
    elif dtype.kind in "iu":
        values = np.clip(
            values * 40 + (0 if dtype.kind == "i" else 60), 0 if dtype.kind == "u" else -120, 120
        )
    elif dtype.name in ("int4", "int2"):
        values = np.clip(np.rint(values * 3), ml_dtypes.iinfo(dtype).min, ml_dtypes.iinfo(dtype).max)
    elif dtype.name in ("uint4", "uint2"):
        values = np.clip(np.rint(np.abs(values) * 3), 0, ml_dtypes.iinfo(dtype).max)
    draft.constant(name, values.astype(dtype))


def quantised_activations(dtype: npt.DTypeLike) -> ModelProto:
    """int8 weights and a bias of int32, and activations that are rounded behind every layer."""
    draft = Draft(_OPSET)
    kind = np.dtype(dtype)
    step = np.float32(0.05 if kind.itemsize == 1 else 0.0005)
    zero = 0 if kind.kind == "i" else np.iinfo(kind).max // 2 + 1
    scales = [draft.constant("step", step), draft.constant("zero", np.asarray(zero, kind))]
    value = _rounded(draft, "x", scales)
    for name, shape in (("w1", (HIDDEN, 3, 3, 3)), ("w2", (HIDDEN, HIDDEN, 3, 3))):
        stored = draft.rng.integers(-127, 127, shape).astype(np.int8)
        gain = np.full(HIDDEN, 1 / 73 / np.prod(shape[1:]) ** 0.5, np.float32)
        weight = [draft.constant(f"{name}.stored", stored), draft.constant(f"{name}.scale", gain)]
        bias = draft.constant(f"{name}.bias.stored", draft.rng.integers(-9, 9, HIDDEN).astype(np.int32))
        bias_scale = draft.constant(f"{name}.bias.scale", gain * step)
        draft.node("DequantizeLinear", weight, name, axis=0)
        draft.node("DequantizeLinear", [bias, bias_scale], f"{name}.bias", axis=0)
        draft.node("Conv", [value, name, f"{name}.bias"], f"{name}.conv")
        value = _rounded(draft, draft.node("Relu", [f"{name}.conv"], f"{name}.relu"), scales)
    draft.node("Conv", [value, draft.weight("w3", 4, HIDDEN, 1, 1)], "y")
    return draft.model(["n", 3, 8, 8], ["n", 4, 4, 4])


def _rounded(draft: Draft, value: str, scales: list[str]) -> str:
    draft.node("QuantizeLinear", [value, *scales], f"{value}.q")
    return draft.node("DequantizeLinear", [f"{value}.q", *scales], f"{value}.dq")


def _numpy(names: str) -> list[np.dtype]:
    """Those that the installed onnx knows."""
    numbers = dict(TensorProto.DataType.items())
    return [helper.tensor_dtype_to_np_dtype(numbers[name]) for name in names.split() if name in numbers]


FLOATS = _numpy("FLOAT DOUBLE FLOAT16 BFLOAT16")
INTEGERS = _numpy("INT8 UINT8 INT16 UINT16 INT32 UINT32 INT64 UINT64")
PACKED = _numpy("INT4 UINT4 FLOAT4E2M1 INT2 UINT2")
EIGHT_BIT_FLOATS = _numpy("FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2 FLOAT8E5M2FNUZ")

TABLE: dict[str, tuple[Callable[[npt.DTypeLike], ModelProto], list[np.dtype]]] = {
    "convolutions of it": (convolutions, FLOATS),
    "matrix products of it": (perceptron, FLOATS),
    "matrix products of whole numbers": (integer_product, _numpy("INT32 UINT32 INT64 UINT64")),
    "weights behind Cast": (cast, [*FLOATS[1:], *EIGHT_BIT_FLOATS, *INTEGERS, np.dtype(bool), *PACKED]),
    "weights behind DequantizeLinear": (dequantised, [*INTEGERS[:5], *EIGHT_BIT_FLOATS, *PACKED]),
    "activations and weights, QDQ": (quantised_activations, INTEGERS[:4]),
}
"""By what is stored in the element type: what makes the network, and the types."""
