"""Small networks for the checks of verification, written in the text syntax of onnx, and cuts of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import helper, numpy_helper, parser
from pruning import choose

from onnxprune.coupling import couple
from onnxprune.coupling.coupling import Coupling
from onnxprune.model import Model, load_model
from onnxprune.surgery import Cut, apply
from onnxprune.verification import Verification, masked_equivalence


@dataclass(frozen=True)
class Example:
    """A model, what hangs together in it, and one cut of it."""

    source: Model
    coupling: Coupling
    cut: Cut

    def verify(self, **options: object) -> Verification:
        return masked_equivalence(self.source, self.cut, self.coupling, threads=1, **options)

    def edited(self, edit: Callable[[onnx.ModelProto], None]) -> Example:
        """The same with a pruned model that was tampered with."""
        proto = self.cut.model.to_proto()
        edit(proto)
        return replace(self, cut=replace(self.cut, model=load_model(proto)))


def network(graph: str, constants: dict[str, object], *, opset: int = 17, ir: int = 8) -> onnx.ModelProto:
    """A model; a constant given as a shape is random, scaled to keep activations of order one."""
    proto = parser.parse_graph(f"g {graph}")
    rng = np.random.default_rng(0)
    for name, given in constants.items():
        values = given
        if isinstance(given, tuple):
            fan_in = max(1, int(np.prod(given[1:])))
            values = (rng.standard_normal(given) / fan_in**0.5).astype(np.float32)
        proto.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    domains = sorted({"", *(node.domain for node in proto.node)})
    imports = [helper.make_opsetid(domain, 1 if domain else opset) for domain in domains]
    return helper.make_model(proto, opset_imports=imports, ir_version=ir)


def example(proto: onnx.ModelProto, *, ratio: float = 0.4, seed: int = 0) -> Example:
    """Cut at random; something must be lost."""
    source = load_model(proto)
    coupling = couple(source)
    cut = apply(coupling, choose(coupling.structure, ratio, seed))
    assert cut.cuts, "nothing was cut"
    return Example(source, coupling, cut)


def constant(proto: onnx.ModelProto, name: str) -> np.ndarray:
    return numpy_helper.to_array(next(t for t in proto.graph.initializer if t.name == name))


def store(proto: onnx.ModelProto, name: str, values: np.ndarray) -> None:
    tensor = next(t for t in proto.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values, order="C"), name))


CONVOLUTIONS = """(float[2, 3, 8, 8] x) => (float y, float z) {
    a = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)
    n = BatchNormalization(a, scale, shift, mean, variance)
    r = Relu(n)
    c = Conv<pads = [1, 1, 1, 1]>(r, w2)
    s = Add(c, r)
    y = Conv(s, w3)
    p = GlobalAveragePool(s)
    z = Conv(p, w4)
}"""


def convolutions() -> onnx.ModelProto:
    """A residual block with batch normalisation; a map and pooled scores come out."""
    variance = np.linspace(0.5, 1.5, 16).astype(np.float32)
    constants = {
        "w1": (16, 3, 3, 3),
        "b1": (16,),
        "scale": (16,),
        "shift": (16,),
        "mean": (16,),
        "variance": variance,
    }
    return network(CONVOLUTIONS, constants | {"w2": (16, 16, 3, 3), "w3": (5, 16, 1, 1), "w4": (4, 16, 1, 1)})


def tokens(body: str, constants: dict[str, object], *, opset: int = 17, width: int = 24) -> onnx.ModelProto:
    """``h = body(d)`` between two dense layers on (2, 5, 8) tokens, the first of them ``width`` wide."""
    graph = f"(float[2, 5, 8] x) => (float y) {{ m = MatMul(x, w1) d = Add(m, b1) {body} y = MatMul(h, w2) }}"
    every = {"w1": (8, width), "b1": (width,), **constants, "w2": (width, 6)}
    return network(graph, every, opset=opset)


def layer_norm() -> onnx.ModelProto:
    return tokens("h = LayerNormalization(d, scale, shift)", {"scale": (24,), "shift": (24,)})


def decomposed_layer_norm() -> onnx.ModelProto:
    """As exporters wrote it before opset 17: mean, variance, and a division by a computed root."""
    body = """u = ReduceMean<axes = [-1]>(d) e = Sub(d, u) q = Mul(e, e) v = ReduceMean<axes = [-1]>(q)
        t = Add(v, epsilon) r = Sqrt(t) o = Div(e, r) f = Mul(o, scale) h = Add(f, shift)"""
    constants = {"epsilon": np.float32(1e-5), "scale": (24,), "shift": (24,)}
    return tokens(body, constants)


def pooled_layer_norm() -> onnx.ModelProto:
    """As tf2onnx writes it at times: the means over the last axis are global pools."""
    body = """u = GlobalAveragePool(d) e = Sub(d, u) q = Mul(e, e) v = GlobalAveragePool(q)
        t = Add(v, epsilon) r = Sqrt(t) o = Div(e, r) f = Mul(o, scale) h = Add(f, shift)"""
    constants = {"epsilon": np.float32(1e-5), "scale": (24,), "shift": (24,)}
    return tokens(body, constants)


def group_norm() -> onnx.ModelProto:
    """As torch exports it: a Reshape to three groups, InstanceNormalization, a Reshape back, scale and shift."""
    graph = """(float[2, 3, 6, 6] x) => (float y) {
        a = Conv(x, w1, b1)  r = Reshape(a, three)  i = InstanceNormalization(r, ones, zeros)
        s = Shape(a)  b = Reshape(i, s)  m = Mul(b, scale)  n = Add(m, shift)  t = Relu(n)  y = Conv(t, w2)
    }"""
    constants = {"w1": (24, 3, 3, 3), "b1": (24,), "three": np.array([0, 3, -1]), "scale": (24, 1, 1)}
    plain = {
        "ones": np.ones(3, np.float32),
        "zeros": np.zeros(3, np.float32),
        "shift": np.ones((24, 1, 1), np.float32),
    }
    return network(graph, constants | plain | {"w2": (5, 24, 1, 1)})
