"""Weights that are not plain initializers, shared weights, quantised weights."""

from __future__ import annotations

import numpy as np
from operator_case import case

F, F16 = np.float32, np.float16
RNG = np.random.default_rng(7)
INT8 = RNG.integers(-100, 100, (12, 3, 3, 3)).astype(np.int8)
UINT8 = RNG.integers(0, 255, (12, 3, 3, 3)).astype(np.uint8)
HEAD8 = RNG.integers(-100, 100, (4, 12, 1, 1)).astype(np.int8)
CONV = "c = Conv(image, w, b) y = Relu(c)"
I = {"x": "input"}
V = {"x": "input vector"}

CASES = [
    case("behind-identity", f"w = Identity(v) {CONV}", **I, opset=(7, 13), v=(12, 3, 3, 3), b=(12,), weight=("v", 0)),
    case("behind-identity-bias", "b = Identity(v) c = Conv(image, w, b) y = Relu(c)", **I, w=(12, 3, 3, 3), v=(12,), weight=("w", 0)),
    case("behind-transpose", f"w = Transpose<perm=[3,2,0,1]>(v) {CONV}", **I, v=(3, 3, 3, 12), b=(12,), weight=("v", 3)),
    case("behind-transpose-dense", "w = Transpose(v) c = MatMul(image, w) y = Relu(c)", **V, v=(12, 8), weight=("v", 0)),
    case("behind-cast", f"w = Cast<to=1>(v) {CONV}", **I, v=RNG.standard_normal((12, 3, 3, 3)).astype(F16), b=(12,), weight=("v", 0)),
    case("behind-reshape", f"w = Reshape(v, s) {CONV}", **I, v=(12, 27), s=[12, 3, 3, 3], b=(12,), weight=("v", 0)),
    case("behind-reshape-flat", f"w = Reshape(v, s) {CONV}", **I, v=(324,), s=[12, 3, 3, 3], b=(12,), weight=("v", 0), pinned="*"),
    case("behind-unsqueeze", f"w = Unsqueeze(v, a) {CONV}", **I, v=(12, 3), a=[2, 3], b=(12,), weight=("v", 0)),
    case("behind-squeeze", f"w = Squeeze(v, a) {CONV}", **I, v=(1, 12, 3, 3, 3), a=[0], b=(12,), weight=("v", 1)),
    case("behind-mul", f"w = Mul(v, g) {CONV}", **I, v=(12, 3, 3, 3), g=(12, 1, 1, 1), b=(12,), weight=("v", 0)),
    case("weight-norm", f"q = Mul(v, v) n = ReduceSum(q, a) r = Sqrt(n) d = Div(v, r) w = Mul(d, g) {CONV}", **I,
         v=(12, 3, 3, 3), g=(12, 1, 1, 1), a=[1, 2, 3], b=(12,), weight=("v", 0), pinned="*"),
    case("behind-concat", f"w = Concat<axis=0>(v, u) {CONV}", **I, v=(12, 3, 3, 3), u=(7, 3, 3, 3), b=(19,), weight=("v", 0), kept=None),
    case("behind-slice", f"w = Slice(v, o, e, a) {CONV}", **I, v=(16, 3, 3, 3), o=[2], e=[14], a=[0], b=(12,), weight=("v", 0), pinned="*"),
    case("behind-gather", f"w = Gather<axis=0>(v, i) {CONV}", **I, v=(12, 3, 3, 3), i=[3, 2, 1, 0, 4, 5, 6, 7, 8, 9, 10, 11], b=(12,),
         weight=("v", 0), pinned="*"),
    case("behind-split", "w, u = Split<axis=0>(v) c = Conv(image, w) d = Conv(image, u) e = Sigmoid(d) y = Mul(c, e)", **I,
         v=(24, 3, 3, 3), weight=("v", 0), kept=14),
    case("constant-node", "w = Constant<value = float[12,8] {W}>() c = Gemm<transB=1>(image, w) y = Relu(c)".replace(
        "{W}", "{" + ", ".join(f"{v:.3f}" for v in RNG.standard_normal(96)) + "}"), **V, weight=("w", 0)),
    case("constant-node-floats", "w = Constant<value_floats = [W]>() u = Reshape(w, s) c = MatMul(image, u) y = Relu(c)".replace(
        "[W]", "[" + ", ".join(f"{v:.3f}" for v in RNG.standard_normal(96)) + "]"), **V, s=[8, 12], weight=("w", 0), pinned="*"),
    case("inputs-too", "y = BatchNormalization(x, s, b, m, v)", ir=3, opset=(7, 8), s=(12,), b=(12,), m=(12,), v=np.ones(12, F)),
    case("inputs-too-reshape", "y = Reshape(x, s)", ir=3, opset=8, s=[2, 432]),
    case("shared-weight", "c = Conv(image, w) d = Relu(image) e = Conv(d, w) y = Concat<axis=1>(c, e)", **I, w=(12, 3, 3, 3),
         weight=("w", 0)),
    case("shared-weight-two-heads", "c = Conv(image, w) d = Relu(image) e = Conv(d, w) y = Relu(c) y2 = Sigmoid(e)", **I,
         w=(12, 3, 3, 3), weight=("w", 0)),
    case("shared-weight-siamese", "c = Conv(image, w) r = Relu(c) d = Conv(r, v) i = Neg(image) e = Conv(i, w) s = Relu(e)"
         " f = Conv(s, v) g = Sub(d, f) y = Abs(g)", **I, w=(12, 3, 3, 3), v=(6, 12, 1, 1), weight=("w", 0)),
    case("shared-weight-recursive", "a = Conv(x, w) b = Relu(a) y = Conv(b, w)", w=(12, 12, 1, 1)),
    case("shared-weight-transposed", "a = MatMul(x, w) r = Relu(a) t = Transpose(w) b = MatMul(r, t) y = Add(x, b)", x="tokens",
         w=(12, 9)),
    case("tied-embedding", "e = Gather(w, i) a = Add(x, e) t = Transpose(w) y = MatMul(a, t)", x="tokens", w=(9, 12),
         i=[0, 1, 2, 3, 4]),
    case("merged-bias", "c = Conv(image, w, b) r = Relu(c) d = Conv(r, v, b) y = Sigmoid(d)", **I, w=(12, 3, 3, 3), v=(12, 12, 1, 1),
         b=(12,), weight=("w", 0)),
    case("merged-bias-two-axes", "c = Conv(image, w, b) r = Relu(c) d = Conv(r, v, b) e = Relu(d) f = Add(e, c) y = Concat<axis=1>(f, r)",
         **I, w=(12, 3, 3, 3), v=(12, 12, 1, 1), b=(12,), weight=("w", 0)),
    case("merged-bias-pinned", "c = Conv(image, w, b) y = Relu(c) d = Conv(c, v, b) y2 = LRN<size=3>(d)", **I, w=(12, 3, 3, 3),
         v=(12, 12, 1, 1), b=(12,), weight=("w", 0)),
    case("merged-scalars", "a = Add(x, one) b = Mul(a, one) c = Pow(b, one) y = Max(c, one)", one=F(1)),
    case("merged-shape", "a = Reshape(x, s) r = Relu(a) b = Reshape(image, s2) m = Reshape(z, s) y = Add(r, m)", s=[2, 432], s2=[2, 108]),
    case("merged-shape-two-widths", "c = Conv(x, w) d = Conv(z, v) y = Reshape(c, s) y2 = Reshape(d, s)", w=(12, 12, 1, 1),
         v=(12, 12, 1, 1), s=[2, 432]),
    case("weight-read-twice", "a = Conv(image, w) n = ReduceSum<keepdims=0>(w, i) y = Relu(a) e = Reshape(n, s) y2 = Add(a, e)", **I,
         w=(12, 3, 3, 3), i=[1, 2, 3], s=[12, 1, 1], weight=("w", 0)),
    case("embedding", "e = Gather(w, i) y = Add(e, x)", x="tokens", w=(9, 12), i=[[0, 1, 2, 3, 4], [5, 6, 7, 8, 8]]),
    case("half-weights", "h = Cast<to=10>(image) c = Conv(h, w, b) r = Cast<to=1>(c) y = Relu(r)", **I,
         w=RNG.standard_normal((12, 3, 3, 3)).astype(F16) / F16(5), b=np.zeros(12, F16), weight=("w", 0)),
    case("double-weights", "h = Cast<to=11>(image) c = MatMul(h, w) r = Cast<to=1>(c) y = Relu(r)", **V,
         w=RNG.standard_normal((8, 12)), weight=("w", 1)),
    # quantised
    case("dequantised-tensor", f"w = DequantizeLinear(q, s, p) {CONV}", **I, opset=(10, 13, 19, 21), q=INT8, s=F(0.01), p=np.int8(0),
         b=(12,), weight=("q", 0)),
    case("dequantised-tensor-zero-point", f"w = DequantizeLinear(q, s, p) {CONV}", **I, q=UINT8, s=F(0.01), p=np.uint8(120), b=(12,),
         weight=("q", 0)),
    case("dequantised-channels", f"w = DequantizeLinear<axis=0>(q, s, p) {CONV}", **I, opset=(13, 19), q=INT8,
         s=np.linspace(0.005, 0.02, 12, dtype=F), p=np.zeros(12, np.int8), b=(12,), weight=("q", 0)),
    case("dequantised-no-zero-point", f"w = DequantizeLinear<axis=0>(q, s) {CONV}", **I, q=INT8, s=np.linspace(0.005, 0.02, 12, dtype=F),
         b=(12,), weight=("q", 0)),
    case("dequantised-reader", "w = DequantizeLinear<axis=0>(q, s, p) y = Conv(x, w)", q=HEAD8, s=np.linspace(0.005, 0.02, 4, dtype=F),
         p=np.zeros(4, np.int8)),
    case("dequantised-bias", "b = DequantizeLinear<axis=0>(q, s) c = Conv(image, w, b) y = Relu(c)", **I, w=(12, 3, 3, 3),
         q=np.arange(12, dtype=np.int32), s=np.full(12, 0.01, F), weight=("w", 0)),
    case("quantised-activation", "a = QuantizeLinear(x, s, p) y = DequantizeLinear(a, s, p)", opset=(10, 13, 19), s=F(0.02), p=np.uint8(128)),
    case("quantised-activation-channels", "a = QuantizeLinear<axis=1>(x, s, p) y = DequantizeLinear<axis=1>(a, s, p)",
         s=np.linspace(0.01, 0.03, 12, dtype=F), p=np.full(12, 128, np.uint8)),
    case("fake-quantised-weight", f"a = QuantizeLinear(v, s, p) w = DequantizeLinear(a, s, p) {CONV}", **I, v=(12, 3, 3, 3), s=F(0.01),
         p=np.int8(0), b=(12,), weight=("v", 0)),
    case("dynamic-quantise", "a, s, p = DynamicQuantizeLinear(x) y = DequantizeLinear(a, s, p)", pinned="*"),
    case("qlinear-conv", "a = QuantizeLinear(x, s, p) c = QLinearConv(a, s, p, q, t, u, s, p) y = DequantizeLinear(c, s, p)", s=F(0.02),
         p=np.uint8(128), q=HEAD8, t=F(0.01), u=np.int8(0), pinned="*"),
    case("matmul-integer", "a, s, p = DynamicQuantizeLinear(x) c = MatMulInteger(a, q, p, u) f = Cast<to=1>(c) y = Mul(f, s)", x="tokens",
         q=RNG.integers(-100, 100, (12, 6)).astype(np.int8), u=np.int8(0), pinned="*"),
]
