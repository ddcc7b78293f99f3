"""One operator between a layer that makes 12 channels and the layers that read what comes out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import prod

import numpy as np
import onnx
import oracle
from onnx import TensorProto, helper, numpy_helper, parser

CHANNELS = 12

_INPUTS = {
    "conv": (2, 3, 6, 6),
    "conv1d": (2, 3, 8),
    "conv3d": (2, 3, 4, 4, 4),
    "tokens": (2, 5, 8),
    "gemm": (2, 8),
    "input": (2, 3, 6, 6),
    "input tokens": (2, 5, 8),
    "input vector": (2, 8),
}


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        name: shown by pytest.
        body: nodes in the text syntax of onnx; they read ``x`` (``z``: a second tensor like it, made by a
            layer of its own; ``image``: the graph's input) and every ``y...`` they make is read by a layer.
        x: what makes x: a kind of layer, or ``input...``: x is the graph's input and the body makes the channels.
        opset: opset version.
        kept: how many of the 12 filters are left at ratio 0.4; None: fewer than 12.
        pinned: word of the reason why all filters stay; empty: they can be cut; "*": cut or not, the
            result has to be right.
        weight: constant that holds the filters, and the axis they lie along.
        head: what reads y: "conv" (axis 1), "matmul" (last axis), "none" (y is an output), "" by rank.
        ir: IR version; 3 makes the initializers graph inputs too.
        functions: local functions, in text.
        constants: a tuple is a shape of random floats, a list int64 values, an array itself.
    """

    name: str
    body: str
    x: str = "conv"
    opset: int = 13
    kept: int | None = 7
    pinned: str = ""
    weight: tuple[str, int] = ("", 0)
    head: str = ""
    ir: int = 8
    functions: tuple[str, ...] = ()
    constants: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}-{self.opset}"

    @property
    def filters(self) -> tuple[str, int]:
        """Name of the constant with the 12 filters and their axis."""
        return self.weight if self.weight[0] else ("x.weight", 0 if self.x.startswith("conv") else 1)


def case(name: str, body: str, *, opset: int | tuple[int, ...] = 13, **given: object) -> list[Case]:
    """One case for each opset; keywords that are no field of Case are constants."""
    fields = {k: given.pop(k) for k in list(given) if k in Case.__dataclass_fields__}
    opsets = opset if isinstance(opset, tuple) else (opset,)
    return [Case(name, body, opset=o, constants=given, **fields) for o in opsets]


def build(case: Case, seed: int = 0) -> onnx.ModelProto:
    """The model of a case, opset and IR stated, weights drawn by seed."""
    rng = np.random.default_rng(seed)
    graph = parser.parse_graph(f"g (float image) => (float y) {{ {case.body} }}")
    del graph.input[:], graph.output[:]
    names = {i for n in graph.node for i in n.input} | set(re.findall(r"\b[xz]\b", case.body))
    body = list(graph.node)
    del graph.node[:]
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, _INPUTS[case.x]))
    for name, given in case.constants.items():
        graph.initializer.append(numpy_helper.from_array(_constant(given, rng), name))
    for name in ("x", "z"):
        if name in names:
            _producer(graph, case, name, rng)
    graph.node.extend(body)
    made = [o for n in body for o in n.output if re.fullmatch(r"y\d*", o)]
    shapes = _shapes(_model(graph, case), made)
    for name in made:
        _head(graph, case, name, shapes[name], rng)
    return _model(graph, case)


def _constant(given: object, rng: np.random.Generator) -> np.ndarray:
    if isinstance(given, tuple):
        fan_in = prod(given[1:]) if len(given) > 1 else 1
        return (rng.standard_normal(given) / max(fan_in, 1) ** 0.5).astype(np.float32)
    return np.array(given, np.int64) if isinstance(given, list | int) else np.asarray(given)


def _producer(graph: onnx.GraphProto, case: Case, name: str, rng: np.random.Generator) -> None:
    if case.x.startswith("input"):
        graph.node.append(helper.make_node("Identity", ["image"], [name]))
        return
    shape = _INPUTS[case.x]
    weights = {f"{name}.bias": (CHANNELS,)}
    if case.x.startswith("conv"):
        rank = len(shape) - 2
        weights[f"{name}.weight"] = (CHANNELS, shape[1], *[3] * rank)
        nodes = [
            helper.make_node("Conv", ["image", f"{name}.weight", f"{name}.bias"], [name], pads=[1] * 2 * rank)
        ]
    elif case.x == "gemm":
        weights[f"{name}.weight"] = (shape[-1], CHANNELS)
        nodes = [helper.make_node("Gemm", ["image", f"{name}.weight", f"{name}.bias"], [name])]
    else:
        weights[f"{name}.weight"] = (shape[-1], CHANNELS)
        nodes = [helper.make_node("MatMul", ["image", f"{name}.weight"], [f"{name}.product"])]
        nodes += [helper.make_node("Add", [f"{name}.product", f"{name}.bias"], [name])]
    graph.initializer.extend(numpy_helper.from_array(_constant(s, rng), n) for n, s in weights.items())
    graph.node.extend(nodes)


def _head(
    graph: onnx.GraphProto, case: Case, name: str, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    out, weight = f"out.{name}", f"{name}.head"
    kind = case.head or ("conv" if len(shape) > 3 or case.x == "conv1d" else "matmul")
    if kind == "none":
        graph.node.append(helper.make_node("Identity", [name], [out]))
    elif kind == "conv":
        value = _constant((5, shape[1], *[1] * (len(shape) - 2)), rng)
        graph.node.append(helper.make_node("Conv", [name, weight], [out]))
    else:
        value = _constant((5, shape[-1]), rng).T.copy()
        graph.node.append(helper.make_node("MatMul", [name, weight], [out]))
    if kind != "none":
        graph.initializer.append(numpy_helper.from_array(value, weight))
    graph.output.append(helper.make_tensor_value_info(out, TensorProto.FLOAT, [None] * len(shape)))


def _shapes(model: onnx.ModelProto, names: list[str]) -> dict[str, tuple[int, ...]]:
    feed = oracle.random_feed(model, 0)
    return {n: v.shape for n, v in oracle.run(model, feed, extra=names).items()}


def _model(graph: onnx.GraphProto, case: Case) -> onnx.ModelProto:
    domains = sorted({"", *(n.domain for n in graph.node)})
    imports = [helper.make_opsetid(d, case.opset if d == "" else 1) for d in domains]
    functions = [parser.parse_function(text) for text in case.functions]
    model = helper.make_model(graph, opset_imports=imports, ir_version=case.ir, functions=functions)
    if case.ir == 3:
        given = {i.name for i in model.graph.input}
        model.graph.input.extend(
            helper.make_tensor_value_info(i.name, i.data_type, i.dims)
            for i in model.graph.initializer
            if i.name not in given
        )
    return model
