"""Small networks, and where the units of their groups are to be found, stated by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

Arrange = Callable[[np.ndarray], np.ndarray]
"""A value -> (samples, units, positions)."""


def maps(values: np.ndarray) -> np.ndarray:
    return values.reshape(*values.shape[:2], -1)


def last(values: np.ndarray) -> np.ndarray:
    """Channels along the last axis."""
    return np.moveaxis(values, -1, 1).reshape(len(values), values.shape[-1], -1)


def part(start: int, stop: int) -> Arrange:
    return lambda values: maps(values[:, start:stop])


@dataclass(frozen=True)
class Network:
    """A graph in the text form of ONNX.

    Attributes:
        text: the graph; its name is the input's, its weights are drawn.
        weights: shape by name.
        carried: for the groups that are looked at the values that carry them, with their arrangement.
        opset: of the standard operators.
        dtype: of input and weights.
    """

    text: str
    weights: Mapping[str, tuple[int, ...]]
    carried: Mapping[str, tuple[tuple[str, Arrange], ...]]
    opset: int = 17
    dtype: type = np.float32

    def proto(self) -> ModelProto:
        rng = np.random.default_rng(7)
        kind = {np.float32: "float", np.float16: "float16"}[self.dtype]
        head = f'<ir_version: 8, opset_import: ["" : {self.opset}]> '
        model = parser.parse_model(head + self.text.replace("float[", f"{kind}["))
        for name, shape in self.weights.items():
            fan_in = max(int(np.prod(shape[1:])), 1)
            values = (rng.standard_normal(shape) * fan_in**-0.5).astype(self.dtype)
            model.graph.initializer.append(numpy_helper.from_array(values, name))
        for index, node in enumerate(model.graph.node):
            node.name = node.name or f"{node.op_type}{index}"
        return model

    def samples(self, count: int) -> np.ndarray:
        dims = self.proto().graph.input[0].type.tensor_type.shape.dim
        shape = [dim.dim_value for dim in dims[1:]]
        return np.random.default_rng(3).standard_normal((count, *shape)).astype(self.dtype)

    def values(self, samples: np.ndarray, group: str) -> list[np.ndarray]:
        """What carries a group, (samples, units, positions) each, computed by the reference of ONNX."""
        model = self.proto()
        wanted = [name for name, _ in self.carried[group]]
        del model.graph.output[:]
        model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in wanted)
        dims = model.graph.input[0].type.tensor_type.shape.dim
        size = dims[0].dim_value or len(samples)
        run = ReferenceEvaluator(model)
        parts = [run.run(None, {"x": samples[k : k + size]}) for k in range(0, len(samples), size)]
        return [
            np.concatenate([arrange(part[n]) for part in parts]).astype(np.float64)
            for n, (_, arrange) in enumerate(self.carried[group])
        ]


CHAIN = """chain (float[n, 3, 6, 6] x) => (float[n, 5] y) {
    a = Conv <pads = [1, 1, 1, 1]> (x, A, ab)
    r = Relu (a)
    c = Conv (r, C)
    s = Relu (c)
    p = GlobalAveragePool (s)
    f = Flatten (p)
    y = Gemm <transB = 1> (f, G)
}"""
CHAIN_WEIGHTS = {"A": (6, 3, 3, 3), "ab": (6,), "C": (7, 6, 3, 3), "G": (5, 7)}
CHAIN_CARRIED = {"Conv0": (("r", maps),), "Conv2": (("f", maps),)}

NETWORKS = {
    "chain": Network(CHAIN, CHAIN_WEIGHTS, CHAIN_CARRIED),
    "chain, old opset": Network(CHAIN, CHAIN_WEIGHTS, CHAIN_CARRIED, opset=11),
    "chain, half precision": Network(CHAIN, CHAIN_WEIGHTS, CHAIN_CARRIED, dtype=np.float16),
    "chain, one sample a run": Network(CHAIN.replace("[n,", "[1,"), CHAIN_WEIGHTS, CHAIN_CARRIED),
    "chain, three samples a run": Network(CHAIN.replace("[n,", "[3,"), CHAIN_WEIGHTS, CHAIN_CARRIED),
    "flattened map": Network(
        """flat (float[n, 2, 5, 5] x) => (float[n, 3] y) {
            a = Conv (x, A)
            r = Relu (a)
            f = Flatten (r)
            y = Gemm <transB = 1> (f, G)
        }""",
        {"A": (4, 2, 3, 3), "G": (3, 36)},
        {"Conv0": (("f", lambda v: v.reshape(len(v), 4, 9)),)},
    ),
    "residual stream": Network(
        """stream (float[n, 3, 5, 5] x) => (float[n, 4, 5, 5] y) {
            a = Conv (x, A)
            r = Relu (a)
            b = Conv (r, B)
            s = Relu (b)
            c = Conv (s, C)
            t = Add (r, c)
            u = Relu (t)
            y = Conv (u, D)
        }""",
        {"A": (6, 3, 1, 1), "B": (5, 6, 1, 1), "C": (6, 5, 1, 1), "D": (4, 6, 1, 1)},
        {"Conv0": (("r", maps), ("u", maps)), "Conv2": (("s", maps),)},
    ),
    "concatenation": Network(
        """concat (float[n, 3, 4, 4] x) => (float[n, 2, 4, 4] y) {
            a = Conv (x, A)
            b = Conv (x, B)
            c = Concat <axis = 1> (a, b)
            r = Relu (c)
            y = Conv (r, D)
        }""",
        {"A": (3, 3, 1, 1), "B": (4, 3, 1, 1), "D": (2, 7, 1, 1)},
        {"Conv0": (("r", part(0, 3)),), "Conv1": (("r", part(3, 7)),)},
    ),
    "gate": Network(
        """excite (float[n, 3, 4, 4] x) => (float[n, 2, 4, 4] y) {
            a = Conv (x, A)
            p = GlobalAveragePool (a)
            q = Conv (p, Q)
            g = Relu (q)
            e = Conv (g, E)
            h = Sigmoid (e)
            m = Mul (a, h)
            y = Conv (m, D)
        }""",
        {"A": (6, 3, 1, 1), "Q": (4, 6, 1, 1), "E": (6, 4, 1, 1), "D": (2, 6, 1, 1)},
        {"Conv0": (("p", maps), ("m", maps)), "Conv2": (("g", maps),)},
    ),
    "channel groups": Network(
        """groups (float[n, 3, 4, 4] x) => (float[n, 2, 4, 4] y) {
            a = Conv (x, A)
            r = Relu (a)
            b = Conv <group = 2> (r, B)
            y = Conv (b, D)
        }""",
        {"A": (10, 3, 1, 1), "B": (10, 5, 1, 1), "D": (2, 10, 1, 1)},
        {"Conv0": (("r", lambda v: np.moveaxis(v.reshape(len(v), 2, 5, 16), 2, 1).reshape(len(v), 5, 32)),)},
    ),
    "tokens": Network(
        """tokens (float[n, 4, 6] x) => (float[n, 4, 3] y) {
            a = MatMul (x, A)
            r = Relu (a)
            y = MatMul (r, B)
        }""",
        {"A": (6, 8), "B": (8, 3)},
        {"MatMul0": (("r", last),)},
        opset=18,
    ),
    "tokens, time first": Network(
        """later (float[n, 4, 6] x) => (float[4, n, 3] y) {
            z = Transpose <perm = [1, 0, 2]> (x)
            a = MatMul (z, A)
            r = Relu (a)
            y = MatMul (r, B)
        }""",
        {"A": (6, 8), "B": (8, 3)},
        {"MatMul1": (("r", lambda v: last(np.moveaxis(v, 1, 0))),)},
    ),
    "tokens in windows": Network(
        """windows (float[n, 4, 6] x) => (float[w, 2, 3] y) <int64[3] split = {-1, 2, 6}> {
            z = Reshape (x, split)
            a = MatMul (z, A)
            r = Relu (a)
            y = MatMul (r, B)
        }""",
        {"A": (6, 8), "B": (8, 3)},
        {"MatMul1": (("r", lambda v: last(v.reshape(len(v) // 2, 4, 8))),)},
    ),
    "channels last": Network(
        """nhwc (float[n, 4, 4, 3] x) => (float[n, 4, 4, 2] y) {
            a = MatMul (x, A)
            r = Relu (a)
            y = MatMul (r, B)
        }""",
        {"A": (3, 5), "B": (5, 2)},
        {"MatMul0": (("r", last),)},
    ),
    "perceptron": Network(
        """mlp (float[n, 6] x) => (float[n, 3] y) {
            a = Gemm (x, A)
            r = Relu (a)
            y = Gemm (r, B)
        }""",
        {"A": (6, 8), "B": (8, 3)},
        {"Gemm0": (("r", maps),)},
    ),
    "read by no weights": Network(
        """attention (float[n, 4, 6] x) => (float[n, 4, 4] y) {
            q = MatMul (x, Q)
            k = MatMul (x, K)
            t = Transpose <perm = [0, 2, 1]> (k)
            y = MatMul (q, t)
        }""",
        {"Q": (6, 5), "K": (6, 5)},
        {"MatMul0": (("q", last), ("k", last))},
    ),
}
"""Every network has samples that fill its batches: a multiple of three."""
