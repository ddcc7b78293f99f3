"""Messages made at random after the descriptors of protobuf, and random changes of any field anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from onnx import ModelProto

from fuzzing.edits import FLOATS, NAMES, NUMBERS, any_of

_F = FieldDescriptor
_WORDS = (*NAMES, "Conv", "Relu", "Gemm", "value", "y", "w", "ai.onnx", "then_branch")


def _is_repeated(field: Any) -> bool:
    """Protobuf has renamed the question."""
    found = getattr(field, "is_repeated", None)
    return field.label == _F.LABEL_REPEATED if found is None else bool(found)


def random_model(rng: np.random.Generator) -> ModelProto:
    """A model all of whose fields are drawn, the versions excepted, without which nothing is looked at."""
    model = ModelProto()
    _fill(rng, model, depth=int(rng.integers(2, 7)), share=float(rng.uniform(0.2, 0.9)))
    if rng.random() < 0.9:
        model.ir_version = int(rng.integers(3, 11))
        del model.opset_import[:]
        model.opset_import.add(domain="", version=int(rng.integers(7, 22)))
    if rng.random() < 0.7:
        _connect(rng, model)
    return model


def change_anything(rng: np.random.Generator, model: ModelProto) -> None:
    """One to four fields, drawn from all that the model has or could have, set, cleared or repeated."""
    for _ in range(int(rng.integers(1, 5))):
        _change(rng, _descend(rng, model))


def _descend(rng: np.random.Generator, message: Any) -> Any:
    """A message somewhere inside of another."""
    while True:
        inner: list[Any] = []
        for field, value in message.ListFields():
            if field.type == _F.TYPE_MESSAGE:
                inner.extend(value if _is_repeated(field) else [value])
        if not inner or rng.random() < 0.15:
            return message
        message = any_of(rng, inner)


def _change(rng: np.random.Generator, message: Any) -> None:
    field = any_of(rng, message.DESCRIPTOR.fields)
    held = getattr(message, field.name)
    if rng.random() < 0.25:
        message.ClearField(field.name)
    elif _is_repeated(field) and len(held) and rng.random() < 0.6:
        place = int(rng.integers(len(held)))
        if rng.random() < 0.4:
            del held[place]
        elif field.type == _F.TYPE_MESSAGE:
            held.add().CopyFrom(held[place])
        else:
            held[place] = _scalar(rng, field)
    else:
        _set(rng, message, field, depth=2, share=0.5)


def _fill(rng: np.random.Generator, message: Any, *, depth: int, share: float) -> None:
    for field in message.DESCRIPTOR.fields:
        if rng.random() < share:
            _set(rng, message, field, depth=depth, share=share)


def _set(rng: np.random.Generator, message: Any, field: Any, *, depth: int, share: float) -> None:
    count = int(rng.integers(1, 4)) if _is_repeated(field) else 1
    for _ in range(count):
        if field.type == _F.TYPE_MESSAGE:
            if depth > 0:
                held = getattr(message, field.name)
                inner = held.add() if _is_repeated(field) else held
                inner.SetInParent()
                _fill(rng, inner, depth=depth - 1, share=share * 0.8)
        elif _is_repeated(field):
            getattr(message, field.name).append(_scalar(rng, field))
        else:
            setattr(message, field.name, _scalar(rng, field))


def _scalar(rng: np.random.Generator, field: Any) -> Any:
    if field.type == _F.TYPE_STRING:
        return any_of(rng, _WORDS)
    if field.type == _F.TYPE_BYTES:
        return rng.bytes(int(rng.integers(0, 40)))
    if field.type in (_F.TYPE_FLOAT, _F.TYPE_DOUBLE):
        return any_of(rng, FLOATS)
    if field.type == _F.TYPE_ENUM:
        return any_of(rng, field.enum_type.values).number
    small = int(rng.integers(0, 12))
    if rng.random() < 0.7:
        return small
    bits = 31 if field.type in (_F.TYPE_INT32, _F.TYPE_UINT32) else 63
    lowest = 0 if field.type in (_F.TYPE_UINT32, _F.TYPE_UINT64) else -(1 << bits)
    return any_of(rng, [n for n in NUMBERS if lowest <= n < 1 << bits])


def _connect(rng: np.random.Generator, model: ModelProto) -> None:
    """Names that a graph needs to get past the first look at it."""
    graph, known = model.graph, ["x"]
    if not graph.input:
        graph.input.add()
    for place, value in enumerate((*graph.input, *graph.initializer)):
        value.name = f"v{place}"
        known.append(value.name)
    known.remove("x")
    if not graph.node:
        graph.node.add(op_type="Relu", output=["r"])
    for place, node in enumerate(graph.node):
        node.op_type = node.op_type or "Relu"
        node.input[:] = [any_of(rng, known) for _ in node.input or "x"]
        node.output[:] = [f"n{place}.{k}" for k in range(max(1, len(node.output)))]
        known.extend(node.output)
    if not graph.output:
        graph.output.add()
    for value in graph.output:
        value.name = known[-1]
