"""Quantised weights and activations."""

from __future__ import annotations

import numpy as np
from operator_case import case

F = np.float32
RNG = np.random.default_rng(7)
INT8 = RNG.integers(-100, 100, (12, 3, 3, 3)).astype(np.int8)
UINT8 = RNG.integers(0, 255, (12, 3, 3, 3)).astype(np.uint8)
HEAD8 = RNG.integers(-100, 100, (4, 12, 1, 1)).astype(np.int8)
CONV = "c = Conv(image, w, b) y = Relu(c)"
MAP = {"x": "input"}

CASES = [
    case(
        "dequantised-tensor",
        f"w = DequantizeLinear(q, s, p) {CONV}",
        **MAP,
        opset=(10, 13, 19, 21),
        q=INT8,
        s=F(0.01),
        p=np.int8(0),
        b=(12,),
        weight=("q", 0),
    ),
    case(
        "dequantised-tensor-zero-point",
        f"w = DequantizeLinear(q, s, p) {CONV}",
        **MAP,
        q=UINT8,
        s=F(0.01),
        p=np.uint8(120),
        b=(12,),
        weight=("q", 0),
    ),
    case(
        "dequantised-channels",
        f"w = DequantizeLinear<axis=0>(q, s, p) {CONV}",
        **MAP,
        opset=(13, 19),
        q=INT8,
        s=np.linspace(0.005, 0.02, 12, dtype=F),
        p=np.zeros(12, np.int8),
        b=(12,),
        weight=("q", 0),
    ),
    case(
        "dequantised-no-zero-point",
        f"w = DequantizeLinear<axis=0>(q, s) {CONV}",
        **MAP,
        q=INT8,
        s=np.linspace(0.005, 0.02, 12, dtype=F),
        b=(12,),
        weight=("q", 0),
    ),
    case(
        "dequantised-reader",
        "w = DequantizeLinear<axis=0>(q, s, p) y = Conv(x, w)",
        q=HEAD8,
        s=np.linspace(0.005, 0.02, 4, dtype=F),
        p=np.zeros(4, np.int8),
    ),
    case(
        "dequantised-bias",
        "b = DequantizeLinear<axis=0>(q, s) c = Conv(image, w, b) y = Relu(c)",
        **MAP,
        w=(12, 3, 3, 3),
        q=np.arange(12, dtype=np.int32),
        s=np.full(12, 0.01, F),
        weight=("w", 0),
    ),
    case(
        "quantised-activation",
        "a = QuantizeLinear(x, s, p) y = DequantizeLinear(a, s, p)",
        opset=(10, 13, 19),
        s=F(0.02),
        p=np.uint8(128),
    ),
    case(
        "quantised-activation-channels",
        "a = QuantizeLinear<axis=1>(x, s, p) y = DequantizeLinear<axis=1>(a, s, p)",
        s=np.linspace(0.01, 0.03, 12, dtype=F),
        p=np.full(12, 128, np.uint8),
    ),
    case(
        "fake-quantised-weight",
        f"a = QuantizeLinear(v, s, p) w = DequantizeLinear(a, s, p) {CONV}",
        **MAP,
        v=(12, 3, 3, 3),
        s=F(0.01),
        p=np.int8(0),
        b=(12,),
        weight=("v", 0),
    ),
    case("dynamic-quantise", "a, s, p = DynamicQuantizeLinear(x) y = DequantizeLinear(a, s, p)", pinned="*"),
    case(
        "qlinear-conv",
        "a = QuantizeLinear(x, s, p) c = QLinearConv(a, s, p, q, t, u, s, p) y = DequantizeLinear(c, s, p)",
        s=F(0.02),
        p=np.uint8(128),
        q=HEAD8,
        t=F(0.01),
        u=np.int8(0),
        pinned="*",
    ),
    case(
        "matmul-integer",
        "a, s, p = DynamicQuantizeLinear(x) c = MatMulInteger(a, q, p, u) f = Cast<to=1>(c) y = Mul(f, s)",
        x="tokens",
        q=RNG.integers(-100, 100, (12, 6)).astype(np.int8),
        u=np.int8(0),
        pinned="*",
    ),
    case(
        "dynamic-quantise-of-sigmoid",
        "e = Sigmoid(x) a, s, p = DynamicQuantizeLinear(e) y = DequantizeLinear(a, s, p)",
        pinned="*",
    ),
    case(
        "dynamic-quantise-of-negative",
        "e = Exp(x) f = Neg(e) a, s, p = DynamicQuantizeLinear(f) y = DequantizeLinear(a, s, p)",
        pinned="*",
    ),
    case(
        "dynamic-quantise-of-reciprocal",
        "e = Abs(x) f = Add(e, c) g = Reciprocal(f) a, s, p = DynamicQuantizeLinear(g) y = DequantizeLinear(a, s, p)",
        c=F(0.001),
        pinned="*",
    ),
]
