"""Runs the test cases that the onnx package carries for each operator, as modules of torch.

Every case is a graph of a node or a few with inputs and the outputs that the standard wants. Cases that are
stamped with operator sets newer than ONNX Runtime loads are stamped with ``NEWEST`` instead, which changes
nothing but the names of the element types that are allowed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, TensorProto, numpy_helper

from onnxprune.errors import InputError
from onnxprune.torch_graph import to_torch
from onnxprune.torch_graph.storage import to_tensor

NEWEST, IR = 26, 10
TYPES = frozenset(
    getattr(TensorProto, name)
    for name in "FLOAT FLOAT16 BFLOAT16 DOUBLE INT8 INT16 INT32 INT64 UINT8 BOOL".split()
)
"""Element types that torch computes with."""
TOLERANCES = {"float16": 2e-3, "bfloat16": 2e-2}
"""Absolute tolerance of types that round early; that of the others is the case's, 1e-6 at least."""

PASSED, DIFFERS, UNSUPPORTED, OTHER_TYPES = "passed", "differs", "unsupported", "other types"


@dataclass(frozen=True)
class Outcome:
    """How a case went.

    Attributes:
        name: of the case.
        operators: operator types in it.
        result: one of ``PASSED``, ``DIFFERS``, ``UNSUPPORTED`` and ``OTHER_TYPES``.
        note: why it did not pass.
    """

    name: str
    operators: tuple[str, ...]
    result: str
    note: str = ""


def run_all() -> list[Outcome]:
    """Every case, in the order of the package."""
    return [outcome(case) for case in cases()]


def cases() -> list[Any]:
    """The cases of the installed onnx."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(load_model_tests(kind="node"))


def outcome(case: Any) -> Outcome:
    """Build and run one case."""
    model = stamped(case.model)
    operators = tuple(sorted({node.op_type for node in model.graph.node}))
    if not set(element_types(model)) <= TYPES:
        return Outcome(case.name, operators, OTHER_TYPES)
    try:
        module = to_torch(model)
    except InputError as error:
        return Outcome(case.name, operators, UNSUPPORTED, error.message)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            for inputs, wanted in case.data_sets:
                compare(module(*(to_tensor(array_of(x)) for x in inputs)), wanted, case)
        except Exception as error:  # whatever torch or NumPy raise is what the page tells
            return Outcome(case.name, operators, DIFFERS, " ".join(str(error).split())[:200])
    return Outcome(case.name, operators, PASSED)


def stamped(model: ModelProto) -> ModelProto:
    """The model, with an operator set and IR version that ONNX Runtime loads."""
    for entry in model.opset_import:
        if not entry.domain and entry.version > NEWEST:
            entry.version = NEWEST
            model.ir_version = IR
    return model


def element_types(model: ModelProto) -> Iterator[int]:
    """Element types of inputs, outputs, constants and casts; 0 for what is no tensor."""
    graph = model.graph
    yield from (value.type.tensor_type.elem_type for value in (*graph.input, *graph.output))
    yield from (tensor.data_type for tensor in graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t.data_type
            if node.op_type == "Cast" and attribute.name == "to":
                yield attribute.i


def array_of(value: Any) -> np.ndarray:
    """A value of a case, some of which are stored as messages."""
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def compare(found: Any, wanted: list[Any], case: Any) -> None:
    """Compare outputs with those of the case.

    Raises:
        AssertionError: number, shapes, types or values differ.
    """
    results = found if isinstance(found, tuple) else (found,)
    assert len(results) == len(wanted), f"{len(results)} outputs, not {len(wanted)}"
    for result, expected in zip(results, map(array_of, wanted), strict=True):
        assert tuple(result.shape) == expected.shape, f"shape {tuple(result.shape)}, not {expected.shape}"
        kind = expected.dtype.name
        assert str(result.dtype).removeprefix("torch.") == kind, f"type {result.dtype}, not {kind}"
        wide = result.float() if kind == "bfloat16" else result
        tolerance = max(case.atol, TOLERANCES.get(kind, 1e-6))
        np.testing.assert_allclose(wide.numpy(), expected.astype(wide.numpy().dtype), case.rtol, tolerance)
