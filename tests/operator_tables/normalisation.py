"""Normalisations, fused and written out."""

from __future__ import annotations

import numpy as np
from operator_case import case

F = np.float32
POSITIVE = np.linspace(0.5, 2, 12, dtype=F)
BN = {"s": (12,), "b": (12,), "m": (12,), "v": POSITIVE}
LAYER_NORM = "m = ReduceMean<axes=[-1]>(x) d = Sub(x, m) q = Pow(d, two) v = ReduceMean<axes=[-1]>(q)"
LAYER_NORM += " e = Add(v, eps) r = Sqrt(e) n = Div(d, r) g = Mul(n, s) y = Add(g, b)"
GROUP_TRICK = "r = Reshape(x, shape) n = InstanceNormalization(r, one, zero) t = Shape(x) u = Reshape(n, t)"
GROUP_TRICK += " g = Mul(u, s) y = Add(g, b)"

CASES = [
    case("batch-norm", "y = BatchNormalization(x, s, b, m, v)", opset=(7, 9, 14, 15), **BN),
    case("batch-norm-vector", "y = BatchNormalization(x, s, b, m, v)", x="gemm", **BN),
    case("batch-norm-shared", "y = BatchNormalization(x, s, b, b, s)", s=POSITIVE, b=(12,)),
    case(
        "batch-norm-training",
        "y, p, q = BatchNormalization<training_mode=1>(x, s, b, m, v)",
        opset=(14, 15),
        **BN,
    ),
    case(
        "batch-norm-by-parts",
        "c = Sub(x, m) e = Add(v, eps) r = Sqrt(e) n = Div(c, r) g = Mul(n, s) y = Add(g, b)",
        m=(12, 1, 1),
        v=POSITIVE.reshape(12, 1, 1),
        eps=F(1e-5),
        s=(12, 1, 1),
        b=(12, 1, 1),
    ),
    case("instance-norm", "y = InstanceNormalization(x, s, b)", opset=(7, 22), s=(12,), b=(12,)),
    case("layer-norm", "y = LayerNormalization(x, s, b)", x="tokens", opset=(17, 22), s=(12,), b=(12,)),
    case("layer-norm-no-bias", "y = LayerNormalization<epsilon=1e-3>(x, s)", x="tokens", opset=17, s=(12,)),
    case(
        "layer-norm-residual",
        "n = LayerNormalization(x, s, b) a = MatMul(n, w) r = Relu(a) c = MatMul(r, v) y = Add(x, c)",
        x="tokens",
        opset=17,
        s=(12,),
        b=(12,),
        w=(12, 20),
        v=(20, 12),
    ),
    case(
        "layer-norm-twice",
        "n = LayerNormalization(x, s, b) r = Relu(n) a = Add(r, x) y = LayerNormalization(a, t, c)",
        x="tokens",
        opset=17,
        s=(12,),
        b=(12,),
        t=(12,),
        c=(12,),
    ),
    case(
        "layer-norm-shared-scale",
        "n = LayerNormalization(x, s, b) a = MatMul(n, w) y = LayerNormalization(a, s, b)",
        x="tokens",
        opset=17,
        s=np.ones(12, F),
        b=np.zeros(12, F),
        w=(12, 12),
    ),
    case("layer-norm-maps", "y = LayerNormalization<axis=1>(x, s, b)", opset=17, s=(12, 6, 6), b=(12, 6, 6)),
    case(
        "layer-norm-nhwc",
        "t = Transpose<perm=[0,2,3,1]>(x) n = LayerNormalization(t, s, b) y = Transpose<perm=[0,3,1,2]>(n)",
        opset=17,
        s=(12,),
        b=(12,),
    ),
    case("layer-norm-space", "y = LayerNormalization(x, s, b)", opset=17, s=(6,), b=(6,)),
    case("layer-norm-by-parts", LAYER_NORM, x="tokens", two=F(2), eps=F(1e-5), s=(12,), b=(12,)),
    case(
        "layer-norm-by-parts-shared",
        LAYER_NORM.replace("Pow(d, two)", "Mul(d, d)"),
        x="tokens",
        eps=F(1e-5),
        s=(12,),
        b=(12,),
    ),
    case(
        "layer-norm-first",
        "m = ReduceMean<axes=[1]>(x) d = Sub(x, m) q = Mul(d, d) v = ReduceMean<axes=[1]>(q)"
        " e = Add(v, eps) r = Sqrt(e) n = Div(d, r) g = Mul(n, s) y = Add(g, b)",
        eps=F(1e-5),
        s=(12, 1, 1),
        b=(12, 1, 1),
    ),
    case("rms-norm", "y = RMSNormalization(x, s)", x="tokens", opset=23, s=(12,)),
    case(
        "rms-norm-by-parts",
        "q = Pow(x, two) v = ReduceMean<axes=[-1]>(q) e = Add(v, eps) r = Sqrt(e) i = Reciprocal(r)"
        " n = Mul(x, i) y = Mul(n, s)",
        x="tokens",
        two=F(2),
        eps=F(1e-5),
        s=(12,),
    ),
    case(
        "l2-normalise",
        "n = ReduceL2<axes=[1]>(x) c = Clip(n, lo) e = Expand(c, shape) y = Div(x, e)",
        lo=F(1e-6),
        shape=[2, 12, 6, 6],
        pinned="*",
    ),
    case("group-norm", "y = GroupNormalization<num_groups=3>(x, s, b)", opset=18, s=(3,), b=(3,), kept=None),
    case(
        "group-norm", "y = GroupNormalization<num_groups=3>(x, s, b)", opset=21, s=(12,), b=(12,), kept=None
    ),
    case("group-norm-one-group", "y = GroupNormalization<num_groups=1>(x, s, b)", opset=21, s=(12,), b=(12,)),
    case("group-norm-each", "y = GroupNormalization<num_groups=12>(x, s, b)", opset=21, s=(12,), b=(12,)),
    case(
        "group-norm-by-instance",
        GROUP_TRICK,
        shape=[0, 3, -1],
        one=np.ones(3, F),
        zero=np.zeros(3, F),
        s=(12, 1, 1),
        b=(12, 1, 1),
        kept=None,
    ),
    case(
        "group-norm-by-instance-one",
        GROUP_TRICK,
        shape=[0, 1, -1],
        one=np.ones(1, F),
        zero=np.zeros(1, F),
        s=(12, 1, 1),
        b=(12, 1, 1),
    ),
    case(
        "group-norm-residual",
        "n = GroupNormalization<num_groups=3>(x, s, b) r = Relu(n) a = Conv(r, w) y = Add(a, x)",
        opset=21,
        s=(12,),
        b=(12,),
        w=(12, 12, 1, 1),
        kept=None,
    ),
    case("mean-variance-norm", "y = MeanVarianceNormalization(x)", opset=(9, 13), pinned="*"),
    case(
        "mean-variance-norm-channels",
        "y = MeanVarianceNormalization<axes=[1]>(x)",
        pinned="MeanVarianceNormalization",
    ),
    case("lrn", "y = LRN<size=3>(x)", opset=(7, 13), pinned="LRN"),
    case("lp-norm-channels", "y = LpNormalization<axis=1>(x)", pinned="*"),
    case("lp-norm-space", "y = LpNormalization<axis=3>(x)"),
    case("lp-norm-of-sigmoid", "s = Sigmoid(x) y = LpNormalization<axis=1>(s)", pinned="*"),
]
