"""Networks whose hidden units 5 to 7 are linear mixtures of the units 0 to 4, so that a refit loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, parser

UNITS = 8
KEPT = np.arange(5)

MIX = np.random.default_rng(5).standard_normal((3, 5)) / 2


def mixed(weight: np.ndarray, axis: int = 0) -> np.ndarray:
    """The weight with its filters 5 to 7 along an axis made mixtures of the others."""
    along = np.moveaxis(weight, axis, 0)
    along[5:8] = np.tensordot(MIX, along[:5], 1)
    return weight


def plain(weight: np.ndarray) -> np.ndarray:
    return weight


def by_input(weight: np.ndarray) -> np.ndarray:
    """For weights (in, out)."""
    return mixed(weight, -1)


@dataclass(frozen=True)
class Case:
    """A network in the text form of ONNX, its input ``x`` and output ``y``.

    Attributes:
        body: the nodes.
        weights: shape by name, drawn.
        makers: weights whose filters are mixtures, and how.
        group: that is cut to ``KEPT``.
        image: shape of a sample.
        out: dims of the output behind the batch.
        repaired: layers whose weights are to be refitted.
        dtype: of inputs and weights.
        ir: version of the file.
        opset: of the operators.
        batch: dim of the batch.
    """

    body: str
    weights: Mapping[str, tuple[int, ...]]
    makers: Mapping[str, Callable[[np.ndarray], np.ndarray]]
    group: str
    repaired: tuple[str, ...]
    image: tuple[int, ...] = (3, 8, 8)
    out: str = "4"
    dtype: type = np.float32
    ir: int = 8
    opset: int = 17
    batch: str = "n"
    positive: frozenset[str] = field(default_factory=frozenset)

    def proto(self) -> ModelProto:
        rng = np.random.default_rng(0)
        kind = {np.float32: "float", np.float16: "float16"}[self.dtype]
        dims = ", ".join(map(str, self.image))
        model = parser.parse_model(
            f'<ir_version: {self.ir}, opset_import: ["" : {self.opset}]> '
            f"net ({kind}[{self.batch}, {dims}] x) => ({kind}[{self.batch}, {self.out}] y) {{ {self.body} }}"
        )
        for name, shape in self.weights.items():
            values = rng.standard_normal(shape) / max(1, np.prod(shape[1:])) ** 0.5
            values = np.abs(values) + 0.5 if name in self.positive else values
            values = self.makers.get(name, plain)(values)
            model.graph.initializer.append(numpy_helper.from_array(values.astype(self.dtype), name))
            if self.ir < 4:
                value = helper.make_tensor_value_info(name, model.graph.initializer[-1].data_type, shape)
                model.graph.input.append(value)
        for node in model.graph.node:
            node.name = node.output[0]
        return model

    def samples(self, count: int = 64, seed: int = 1) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal((count, *self.image)).astype(self.dtype)


HEAD = "p = GlobalAveragePool (z) f = Flatten (p) y = Gemm <transB = 1> (f, wh, bh)"
HEADS = {"wh": (4, 6), "bh": (4,)}
FIRST = {"w1": (8, 3, 3, 3), "b1": (8,)}
MIXED = {"w1": mixed, "b1": mixed}

CASES: dict[str, Case] = {
    "convolution": Case(
        f"a = Conv (x, w1, b1) z = Conv (a, w2, b2) {HEAD}",
        {**FIRST, "w2": (6, 8, 3, 3), "b2": (6,), **HEADS},
        MIXED,
        "a",
        ("z",),
    ),
    "without a bias": Case(
        f"a = Conv (x, w1, b1) z = Conv <strides = [2, 2]> (a, w2) {HEAD}",
        {**FIRST, "w2": (6, 8, 3, 3), **HEADS},
        MIXED,
        "a",
        ("z",),
    ),
    "without a bias, old file": Case(
        f"a = Conv (x, w1, b1) z = Conv (a, w2) {HEAD}",
        {**FIRST, "w2": (6, 8, 3, 3), **HEADS},
        MIXED,
        "a",
        ("z",),
        ir=3,
        opset=9,
    ),
    "normalised": Case(
        f"c = Conv (x, w1, b1) a = BatchNormalization (c, s, t, m, v) z = Conv (a, w2) {HEAD}",
        {**FIRST, "s": (8,), "t": (8,), "m": (8,), "v": (8,), "w2": (6, 8, 3, 3), **HEADS},
        MIXED,
        "c",
        ("z",),
        positive=frozenset({"s", "v"}),
    ),
    "groups": Case(
        f"a = Conv (x, w1, b1) z = Conv <group = 2> (a, w2, b2) {HEAD}",
        {"w1": (16, 3, 3, 3), "b1": (16,), "w2": (6, 8, 3, 3), "b2": (6,), **HEADS},
        {
            "w1": lambda w: np.concatenate([mixed(w[:8]), mixed(w[8:])]),
            "b1": lambda w: np.concatenate([mixed(w[:8]), mixed(w[8:])]),
        },
        "a",
        ("z",),
    ),
    "depthwise between": Case(
        f"c = Conv (x, w1, b1) d = Conv <group = 8> (c, wd, bd) z = Conv (d, w2) {HEAD}",
        {**FIRST, "wd": (8, 1, 3, 3), "bd": (8,), "w2": (6, 8, 1, 1), **HEADS},
        {**MIXED, "wd": lambda w: np.repeat(w[:1], 8, axis=0)},
        "c",
        ("z",),
    ),
    "concatenation": Case(
        f"a = Conv (x, w1, b1) b = Conv (x, w3) j = Concat <axis = 1> (b, a) z = Conv (j, w2, b2) {HEAD}",
        {**FIRST, "w3": (4, 3, 3, 3), "w2": (6, 12, 3, 3), "b2": (6,), **HEADS},
        MIXED,
        "a",
        ("z",),
    ),
    "transposed": Case(
        f"a = Conv (x, w1, b1) z = ConvTranspose <strides = [2, 2]> (a, w2) {HEAD}",
        {**FIRST, "w2": (8, 6, 3, 3), **HEADS},
        MIXED,
        "a",
        ("z",),
    ),
    "flattened": Case(
        "a = Conv <strides = [3, 3]> (x, w1, b1) f = Flatten (a) m = MatMul (f, w2) y = Add (m, b2)",
        {**FIRST, "w2": (32, 4), "b2": (4,)},
        MIXED,
        "a",
        ("m",),
    ),
    "product without a bias": Case(
        "m = MatMul (x, w1) y = MatMul (m, w2)",
        {"w1": (6, 8), "w2": (8, 4)},
        {"w1": by_input},
        "m",
        ("y",),
        image=(5, 6),
        out="5, 4",
    ),
    "perceptron of a transformer": Case(
        "l = LayerNormalization (x, s, t) m = MatMul (l, w1) a = Add (m, b1) n = MatMul (a, w2) "
        "b = Add (b2, n) y = Add (x, b)",
        {"s": (6,), "t": (6,), "w1": (6, 8), "b1": (8,), "w2": (8, 6), "b2": (6,)},
        {"w1": by_input, "b1": mixed},
        "m",
        ("n",),
        image=(5, 6),
        out="5, 6",
    ),
    "one axis": Case(
        "a = Conv <pads = [2, 0]> (x, w1, b1) z = Conv <dilations = [2]> (a, w2) "
        "p = GlobalAveragePool (z) f = Flatten (p) y = Gemm <transB = 1> (f, wh, bh)",
        {"w1": (8, 3, 3), "b1": (8,), "w2": (6, 8, 3), **HEADS},
        MIXED,
        "a",
        ("z",),
        image=(3, 20),
    ),
    "half precision": Case(
        f"a = Conv (x, w1, b1) z = Conv (a, w2) {HEAD}",
        {**FIRST, "w2": (6, 8, 3, 3), **HEADS},
        MIXED,
        "a",
        ("z",),
        dtype=np.float16,
    ),
    "fixed batch": Case(
        f"a = Conv (x, w1, b1) z = Conv (a, w2, b2) {HEAD}",
        {**FIRST, "w2": (6, 8, 3, 3), "b2": (6,), **HEADS},
        MIXED,
        "a",
        ("z",),
        batch="4",
    ),
    "batch of one": Case(
        f"a = Conv (x, w1, b1) z = Conv (a, w2, b2) {HEAD}",
        {**FIRST, "w2": (6, 8, 3, 3), "b2": (6,), **HEADS},
        MIXED,
        "a",
        ("z",),
        batch="1",
    ),
}


def residual(depth: int = 3) -> ModelProto:
    """A stream of 12 channels and blocks with 16 hidden ones, normalised, each added to the stream."""
    rng = np.random.default_rng(3)
    nodes: list[NodeProto] = [helper.make_node("Conv", ["x", "w", "b"], ["s0"], "stem", pads=[1] * 4)]
    weights: dict[str, np.ndarray] = {"w": rng.standard_normal((12, 3, 3, 3)) / 5, "b": np.zeros(12)}
    for k in range(depth):
        weights |= {
            f"u{k}": rng.standard_normal((16, 12, 3, 3)) / 10,
            f"c{k}": rng.standard_normal(16) / 10,
            f"d{k}": rng.standard_normal((12, 16, 1, 1)) / 4,
            f"g{k}": rng.uniform(0.5, 2, 12),
            f"h{k}": rng.standard_normal(12) / 10,
            f"m{k}": np.zeros(12),
            f"v{k}": np.ones(12),
        }
        norm = [f"down{k}", *(f"{part}{k}" for part in "ghmv")]
        nodes += [
            helper.make_node("Conv", [f"s{k}", f"u{k}", f"c{k}"], [f"up{k}"], f"up{k}", pads=[1] * 4),
            helper.make_node("Relu", [f"up{k}"], [f"r{k}"]),
            helper.make_node("Conv", [f"r{k}", f"d{k}"], [f"down{k}"], f"down{k}"),
            helper.make_node("BatchNormalization", norm, [f"n{k}"]),
            helper.make_node("Add", [f"n{k}", f"s{k}"], [f"s{k + 1}"]),
        ]
    nodes += [
        helper.make_node("Relu", [f"s{depth}"], ["last"]),
        helper.make_node("GlobalAveragePool", ["last"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "wh", "bh"], ["y"], "head", transB=1),
    ]
    weights |= {"wh": rng.standard_normal((4, 12)), "bh": np.zeros(4)}
    graph = helper.make_graph(
        nodes,
        "residual",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
