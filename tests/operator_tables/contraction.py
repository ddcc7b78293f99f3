"""Convolutions, matrix products, Einsum, attention."""

from __future__ import annotations

import numpy as np
from operator_case import case

F = np.float32
QKV = "q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv)"
SQUARE = {"wq": (12, 12), "wk": (12, 12), "wv": (12, 12)}

CASES = [
    case("conv", "y = Conv(x, w, b)", opset=(7, 11, 22), w=(4, 12, 3, 3), b=(4,)),
    case("conv-1d", "y = Conv(x, w)", x="conv1d", w=(4, 12, 3)),
    case("conv-3d", "y = Conv(x, w)", x="conv3d", w=(4, 12, 3, 3, 3)),
    case("conv-same", 'y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)', w=(4, 12, 3, 3)),
    case("conv-depthwise", "y = Conv<group=12>(x, w, b)", w=(12, 1, 3, 3), b=(12,)),
    case("conv-depthwise-multiplier", "y = Conv<group=12>(x, w, b)", w=(24, 1, 3, 3), b=(24,)),
    case("conv-grouped", "y = Conv<group=2>(x, w, b)", w=(8, 6, 3, 3), b=(8,), kept=None),
    case("conv-grouped-residual", "a = Conv<group=3>(x, w) y = Add(x, a)", w=(12, 4, 1, 1), kept=None),
    case(
        "conv-grouped-then-depthwise",
        "a = Conv<group=2>(x, w) b = Relu(a) y = Conv<group=12>(b, v)",
        w=(12, 6, 1, 1),
        v=(12, 1, 3, 3),
        kept=None,
    ),
    case(
        "conv-two-groupings",
        "a = Conv<group=2>(x, w) y = Conv<group=3>(a, v)",
        w=(12, 6, 1, 1),
        v=(12, 4, 1, 1),
        kept=None,
    ),
    case(
        "conv-two-groupings-of-one",
        "y = Conv<group=2>(x, w) y2 = Conv<group=3>(x, v)",
        w=(12, 6, 1, 1),
        v=(12, 4, 1, 1),
        pinned="*",
    ),
    case("conv-transpose", "y = ConvTranspose(x, w, b)", opset=(7, 11, 22), w=(12, 4, 2, 2), b=(4,)),
    case(
        "conv-transpose-strided",
        "y = ConvTranspose<strides=[2,2], output_padding=[1,1], pads=[1,1,1,1]>(x, w)",
        w=(12, 4, 3, 3),
    ),
    case("conv-transpose-grouped", "y = ConvTranspose<group=2>(x, w, b)", w=(12, 3, 2, 2), b=(6,), kept=None),
    case("conv-transpose-depthwise", "y = ConvTranspose<group=12>(x, w)", w=(12, 1, 2, 2)),
    case(
        "conv-transpose-filters",
        "c = ConvTranspose(image, w) y = Relu(c)",
        x="input",
        w=(3, 12, 2, 2),
        weight=("w", 1),
    ),
    case("deform-conv", "y = DeformConv(x, w, o)", opset=19, w=(4, 12, 1, 1), o=(2, 2, 6, 6), pinned="*"),
    case(
        "conv-of-two-tensors",
        "w = Reshape(v, s) y = Conv(z, w)",
        v=(12, 12),
        s=[12, 12, 1, 1],
        weight=("z.weight", 0),
    ),
    case(
        "conv-activation-as-weight",
        "p = GlobalAveragePool(x) q = Slice(p, b, e, a) y = Conv(z, q)",
        b=[0],
        e=[1],
        a=[0],
        pinned="*",
    ),
    # dense layers
    case("gemm", "y = Gemm(x, w, b)", x="gemm", opset=(7, 9, 11, 13), w=(12, 6), b=(6,)),
    case("gemm-transposed", "y = Gemm<transB=1, alpha=0.5, beta=2.0>(x, w, b)", x="gemm", w=(6, 12), b=(6,)),
    case("gemm-no-bias", "y = Gemm(x, w)", x="gemm", opset=(11, 13), w=(12, 6)),
    case("gemm-scalar-bias", "y = Gemm(x, w, b)", x="gemm", w=(12, 6), b=F(1)),
    case("gemm-bias-2d", "y = Gemm(x, w, b)", x="gemm", w=(12, 6), b=(1, 6)),
    case(
        "gemm-transposed-input", "a = Transpose(x) y = Gemm<transA=1>(a, w, b)", x="gemm", w=(12, 6), b=(6,)
    ),
    case(
        "gemm-filters-transposed",
        "c = Gemm<transB=1>(image, w, b) y = Relu(c)",
        x="input vector",
        w=(12, 8),
        b=(12,),
        weight=("w", 0),
    ),
    case(
        "gemm-filters-bias-tensor", "c = Gemm(image, w, z) y = Relu(c)", x="gemm", w=(8, 12), weight=("w", 1)
    ),
    case("gemm-weight-left", "a = Transpose(x) y = Gemm(w, a)", x="gemm", w=(6, 12), head="matmul"),
    case("matmul", "y = MatMul(x, w)", x="tokens", opset=(7, 9, 13), w=(12, 6)),
    case("matmul-vector", "a = MatMul(x, w) y = Unsqueeze<axes=[2]>(a)", x="tokens", opset=11, w=(12,)),
    case("matmul-batched-weight", "y = MatMul(x, w)", x="tokens", w=(2, 12, 6)),
    case("matmul-weight-left", "y = MatMul(w, x)", x="conv1d", w=(4, 12)),
    case(
        "matmul-weight-left-vector",
        "a = MatMul(w, x) y = Unsqueeze<axes=[1]>(a)",
        x="conv1d",
        opset=11,
        w=(12,),
    ),
    case("matmul-mixes-tokens", "y = MatMul(w, x)", x="tokens", w=(7, 5)),
    case(
        "matmul-mlp-mixer",
        "a = Transpose<perm=[0,2,1]>(x) b = MatMul(a, w) c = MatMul(b, v) d = Transpose<perm=[0,2,1]>(c) y = Add(x, d)",
        x="tokens",
        w=(5, 9),
        v=(9, 5),
    ),
    case("matmul-on-maps", "y = MatMul(x, w)", w=(6, 4)),
    case(
        "matmul-of-activations", "a = Transpose<perm=[0,2,1]>(z) y = MatMul(x, a)", x="tokens", head="matmul"
    ),
    case(
        "matmul-of-activations-gated",
        "p = Sigmoid(x) q = Sigmoid(z) a = Transpose<perm=[0,2,1]>(q) y = MatMul(p, a)",
        x="tokens",
        pinned="*",
    ),
    case("matmul-gram", "a = Transpose<perm=[0,2,1]>(x) y = MatMul(x, a)", x="tokens", head="matmul"),
    case("matmul-covariance", "a = Transpose<perm=[0,2,1]>(x) y = MatMul(a, x)", x="tokens", pinned="output"),
    case(
        "matmul-nhwc",
        "t = Transpose<perm=[0,2,3,1]>(x) a = MatMul(t, w) b = Add(a, c) y = Transpose<perm=[0,3,1,2]>(b)",
        w=(12, 6),
        c=(6,),
    ),
    # Einsum
    case("einsum-linear", 'y = Einsum<equation="bchw,dc->bdhw">(x, w)', w=(6, 12)),
    case("einsum-implicit", 'y = Einsum<equation="btc,cd">(x, w)', x="tokens", w=(12, 6)),
    case("einsum-spaces", 'y = Einsum<equation="b t c, c d -> b t d">(x, w)', x="tokens", w=(12, 6)),
    case("einsum-ellipsis", 'y = Einsum<equation="...c,cd->...d">(x, w)', x="tokens", w=(12, 6)),
    case("einsum-outer", 'y = Einsum<equation="bic,bjc->bij">(x, z)', x="tokens"),
    case("einsum-passes", 'y = Einsum<equation="btc->bct">(x)', x="tokens", head="conv"),
    case("einsum-sum-channels", 'a = Sigmoid(x) y = Einsum<equation="btc->bt">(a)', x="tokens", pinned="*"),
    case(
        "einsum-diagonal",
        'a = Einsum<equation="btc,btd->bcd">(x, x) y = Einsum<equation="bcc->bc">(a)',
        x="tokens",
        pinned="*",
    ),
    case(
        "einsum-heads",
        'q = Reshape(x, s) k = Reshape(z, s) y = Einsum<equation="bqhd,bkhd->bhqk">(q, k)',
        x="tokens",
        s=[2, 5, 3, 4],
        kept=None,
    ),
    # attention written out
    case(
        "attention-one-head",
        f"{QKV} t = Transpose<perm=[0,2,1]>(k) a = MatMul(q, t) b = Mul(a, scale) c = Softmax<axis=-1>(b) y = MatMul(c, v)",
        x="tokens",
        scale=F(0.3),
        **SQUARE,
    ),
    case(
        "attention-values",
        f"{QKV} t = Transpose<perm=[0,2,1]>(k) a = MatMul(q, t) c = Softmax<axis=-1>(a) y = MatMul(c, v)",
        x="input tokens",
        wq=(8, 12),
        wk=(8, 12),
        wv=(8, 12),
        weight=("wv", 1),
    ),
    case(
        "attention-keys",
        f"{QKV} t = Transpose<perm=[0,2,1]>(k) a = MatMul(q, t) c = Softmax<axis=-1>(a) y = MatMul(c, v)",
        x="input tokens",
        wq=(8, 12),
        wk=(8, 12),
        wv=(8, 12),
        weight=("wk", 1),
    ),
    case(
        "attention-op",
        f"{QKV} y = Attention<q_num_heads=3, kv_num_heads=3>(q, k, v)",
        x="tokens",
        opset=23,
        **SQUARE,
    ),
    case(
        "attention-op-filters",
        f"{QKV} y = Attention<q_num_heads=3, kv_num_heads=3>(q, k, v)",
        x="input tokens",
        opset=23,
        wq=(8, 12),
        wk=(8, 12),
        wv=(8, 12),
        weight=("wv", 1),
        pinned="*",
    ),
    case(
        "attention-op-keys",
        f"{QKV} y = Attention<q_num_heads=3, kv_num_heads=3>(q, k, v)",
        x="input tokens",
        opset=23,
        wq=(8, 12),
        wk=(8, 12),
        wv=(8, 12),
        weight=("wk", 1),
        pinned="*",
    ),
    case(
        "attention-op-grouped",
        f"{QKV} y = Attention<q_num_heads=6, kv_num_heads=2>(q, k, v)",
        x="input tokens",
        opset=23,
        wq=(8, 12),
        wk=(8, 4),
        wv=(8, 4),
        weight=("wq", 1),
        pinned="*",
    ),
    # products of activations that a mask does not bring to zero
    case(
        "matmul-gram-of-sigmoid",
        "s = Sigmoid(x) a = Transpose<perm=[0,2,1]>(s) y = MatMul(s, a)",
        x="tokens",
        head="matmul",
        pinned="*",
    ),
    case(
        "matmul-linear-attention",
        "p = Elu(x) q = Add(p, one) r = Elu(z) k = Add(r, one) t = Transpose<perm=[0,2,1]>(k)"
        " a = MatMul(q, t) y = MatMul(a, z)",
        x="tokens",
        one=F(1),
        pinned="*",
    ),
    case(
        "matmul-gram-after-norm",
        "s = LayerNormalization(x, g, h) a = Transpose<perm=[0,2,1]>(s) y = MatMul(s, a)",
        x="tokens",
        opset=17,
        g=(12,),
        h=(12,),
        head="matmul",
    ),
    case(
        "conv-depthwise-of-sigmoid",
        "s = Sigmoid(x) a = Conv<group=12>(s, w) y = Conv(a, v)",
        w=(12, 1, 3, 3),
        v=(4, 12, 1, 1),
    ),
]
