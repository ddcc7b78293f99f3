"""Operators that change the shape, and arithmetic on shapes."""

from __future__ import annotations

import numpy as np
from operator_case import case

F = np.float32
CHANNEL_COUNT = "s = Shape(x) c = Gather(s, one)"

CASES = [
    case("flatten", "y = Flatten(x)", opset=(7, 9, 11, 13, 21)),
    case("flatten-axis-2", "y = Flatten<axis=2>(x)", pinned="output"),
    case("flatten-gemm", "a = Flatten(x) y = Gemm(a, w, b)", w=(432, 6), b=(6,)),
    case("flatten-pooled", "a = GlobalAveragePool(x) y = Flatten(a)"),
    case("flatten-nhwc", "t = Transpose<perm=[0,2,3,1]>(x) y = Flatten(t)"),
    case("flatten-concat", "a = Flatten(x) b = Flatten(z) y = Concat<axis=1>(a, b)"),
    case("flatten-added", "a = Flatten(x) b = Gemm(a, w) y = Add(a, b)", w=(432, 432)),
    case("reshape-fixed", "y = Reshape(x, s)", opset=(7, 13, 14, 21), s=[2, 432]),
    case("reshape-rest", "y = Reshape(x, s)", s=[0, -1]),
    case("reshape-rest-first", "y = Reshape(x, s)", s=[-1, 432]),
    case("reshape-allow-zero", "y = Reshape<allowzero=1>(x, s)", opset=14, s=[-1, 432]),
    case(
        "reshape-constant-node", "s = Constant<value = int64[2] {0, 432}>() y = Reshape(x, s)", opset=(7, 13)
    ),
    case("reshape-constant-ints", "s = Constant<value_ints = [-1, 432]>() y = Reshape(x, s)"),
    case("reshape-tokens", "a = Reshape(x, s) y = Transpose<perm=[0,2,1]>(a)", s=[0, 12, -1], head="matmul"),
    case(
        "reshape-tokens-by-rest",
        "a = Reshape(x, s) y = Transpose<perm=[0,2,1]>(a)",
        s=[2, -1, 36],
        head="matmul",
    ),
    case("reshape-back", "a = Reshape(x, s) b = Relu(a) y = Reshape(b, t)", s=[0, 0, 36], t=[0, 0, 6, 6]),
    case(
        "reshape-splits-channels",
        "a = Reshape(x, s) b = Relu(a) y = Reshape(b, t)",
        s=[0, 3, 4, 6, 6],
        t=[0, 12, 6, 6],
        kept=None,
    ),
    case(
        "reshape-channel-shuffle",
        "a = Reshape(x, s) b = Transpose<perm=[0,2,1,3,4]>(a) y = Reshape(b, t)",
        s=[0, 3, 4, 6, 6],
        t=[0, -1, 6, 6],
        kept=None,
    ),
    case(
        "reshape-heads",
        "a = Reshape(x, s) b = Transpose<perm=[0,2,1,3]>(a) c = Transpose<perm=[0,2,1,3]>(b) y = Reshape(c, t)",
        x="tokens",
        s=[0, 0, 3, 4],
        t=[0, 0, 12],
        kept=None,
    ),
    case("reshape-merges-batch", "y = Reshape(x, s)", x="tokens", s=[-1, 12]),
    case("reshape-unaligned", "y = Reshape(x, s)", s=[2, 8, 54], head="matmul", pinned="*"),
    case(
        "reshape-merges-channels-and-rows",
        "a = Reshape(x, s) y = Transpose<perm=[0,2,1]>(a)",
        s=[2, 72, 6],
        head="matmul",
    ),
    case(
        "reshape-by-shape-chain",
        "s = Shape(x) n = Gather(s, zero) u = Unsqueeze(n, front) t = Concat<axis=0>(u, rest) y = Reshape(x, t)",
        zero=np.int64(0),
        front=[0],
        rest=[-1],
    ),
    case(
        "reshape-by-channel-count",
        f"{CHANNEL_COUNT} u = Unsqueeze(c, front) t = Concat<axis=0>(keep, u, rest) a = Reshape(x, t)"
        " y = Transpose<perm=[0,2,1]>(a)",
        one=np.int64(1),
        front=[0],
        keep=[0],
        rest=[-1],
        head="matmul",
    ),
    case(
        "reshape-by-product",
        f"{CHANNEL_COUNT} h = Gather(s, two) p = Mul(c, h) q = Mul(p, h) u = Unsqueeze(q, front)"
        " t = Concat<axis=0>(rest, u) y = Reshape(x, t)",
        one=np.int64(1),
        two=np.int64(2),
        front=[0],
        rest=[-1],
    ),
    case(
        "reshape-by-division",
        f"{CHANNEL_COUNT} d = Div(c, three) u = Unsqueeze(d, front) t = Concat<axis=0>(keep, g, u, map)"
        " a = Reshape(x, t) b = Transpose<perm=[0,2,1,3,4]>(a) y = Reshape(b, back)",
        one=np.int64(1),
        three=np.int64(3),
        front=[0],
        keep=[0],
        g=[3],
        map=[6, 6],
        back=[0, -1, 6, 6],
        kept=None,
    ),
    case(
        "reshape-like-another",
        "s = Shape(z) a = Reshape(x, flat) b = Relu(a) y = Reshape(b, s)",
        flat=[0, -1],
    ),
    case(
        "channel-count-as-number",
        f"{CHANNEL_COUNT} f = Cast<to=1>(c) r = Sqrt(f) y = Div(x, r)",
        one=np.int64(1),
        pinned="*",
    ),
    case(
        "channel-count-of-another",
        "s = Shape(z) c = Gather(s, one) f = Cast<to=1>(c) r = Sqrt(f) y = Div(x, r)",
        one=np.int64(1),
    ),
    case("size-as-number", "s = Size(x) f = Cast<to=1>(s) r = Sqrt(f) y = Div(x, r)", pinned="*"),
    case(
        "range-of-channels",
        f"{CHANNEL_COUNT} r = Range(zero, c, one) f = Cast<to=1>(r) u = Unsqueeze(f, tail) y = Add(x, u)",
        zero=np.int64(0),
        one=np.int64(1),
        tail=[1, 2],
        pinned="*",
    ),
    case(
        "shape-start-end",
        "s = Shape<start=0, end=2>(x) t = Concat<axis=0>(s, rest) a = Reshape(x, t) y = Transpose<perm=[0,2,1]>(a)",
        opset=15,
        rest=[-1],
        head="matmul",
    ),
    case(
        "constant-of-shape-by-channels",
        f"{CHANNEL_COUNT} u = Unsqueeze(c, front) t = Concat<axis=0>(u, ones)"
        " k = ConstantOfShape<value = float[1] {0.5}>(t) y = Mul(x, k)",
        one=np.int64(1),
        front=[0],
        ones=[1, 1],
        pinned="*",
    ),
    case(
        "expand-of-torchscript",
        "k = ConstantOfShape<value = int64[1] {1}>(three) m = Mul(k, minus) q = Equal(size, m)"
        " s = Where(q, k, size) e = Expand(token, s) y = Concat<axis=1>(e, x)",
        x="tokens",
        three=[3],
        minus=np.int64(-1),
        size=[2, -1, -1],
        token=(1, 1, 12),
    ),
    case("squeeze-attribute", "g = GlobalAveragePool(x) y = Squeeze<axes=[2,3]>(g)", opset=(7, 11)),
    case("squeeze-input", "g = GlobalAveragePool(x) y = Squeeze(g, a)", opset=(13, 21), a=[2, 3]),
    case("squeeze-all", "g = GlobalAveragePool(x) y = Squeeze(g)"),
    case(
        "unsqueeze-attribute",
        "a = Unsqueeze<axes=[2,3]>(x) y = Relu(a)",
        x="gemm",
        opset=(7, 11),
        head="conv",
    ),
    case(
        "unsqueeze-input",
        "a = Unsqueeze(x, i) y = Relu(a)",
        x="gemm",
        opset=(13, 21),
        i=[-1, -2],
        head="conv",
    ),
    case(
        "squeeze-unsqueeze",
        "g = GlobalAveragePool(x) a = Squeeze(g, i) b = Gemm(a, w) c = Sigmoid(b) d = Unsqueeze(c, i) y = Mul(x, d)",
        i=[2, 3],
        w=(12, 12),
    ),
    case(
        "squeeze-excite-dense",
        "g = ReduceMean<axes=[2,3], keepdims=0>(x) a = Gemm(g, w) r = Relu(a) b = Gemm(r, v)"
        " c = Sigmoid(b) d = Reshape(c, s) y = Mul(x, d)",
        w=(12, 4),
        v=(4, 12),
        s=[-1, 12, 1, 1],
    ),
    case("transpose-nhwc", "y = Transpose<perm=[0,2,3,1]>(x)", opset=(7, 13, 21), head="matmul"),
    case(
        "transpose-round-trip",
        "a = Transpose<perm=[0,2,3,1]>(x) b = Relu(a) y = Transpose<perm=[0,3,1,2]>(b)",
    ),
    case("transpose-default", "a = Transpose(x) b = Relu(a) y = Transpose(b)"),
    case(
        "transpose-conv-nhwc",
        "a = Transpose<perm=[0,2,3,1]>(x) b = Add(a, c) d = Transpose<perm=[0,3,1,2]>(b) y = Conv(d, w)",
        c=(12,),
        w=(4, 12, 3, 3),
    ),
    case(
        "swin-windows",
        "a = Reshape(x, s) b = Transpose<perm=[0,1,3,2,4,5]>(a) y = Reshape(b, t)",
        opset=13,
        s=[2, 12, 2, 3, 2, 3],
        t=[2, 12, 4, 9],
    ),
    case(
        "swin-partition",
        "p = Transpose<perm=[0,2,3,1]>(x) a = Reshape(p, s) b = Transpose<perm=[0,1,3,2,4,5]>(a) y = Reshape(b, t)",
        s=[2, 2, 3, 2, 3, 12],
        t=[-1, 9, 12],
    ),
    case("nonzero", "a = NonZero(x) b = Cast<to=1>(a) y = Transpose(b)", pinned="NonZero"),
    case("eye-like", "e = EyeLike(x) y = Add(x, e)", x="gemm", pinned="*"),
]
