"""Operators that move data: Concat, Slice, Split, Gather, Pad."""

from __future__ import annotations

import numpy as np
from operator_case import case

F = np.float32
LAST = 2**63 - 1
SHUFFLE = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]

CASES = [
    # Concat
    case("concat-channels", "y = Concat<axis=1>(x, z)", opset=(7, 11, 13)),
    case("concat-itself", "a = Relu(x) y = Concat<axis=1>(x, a)"),
    case("concat-space", "y = Concat<axis=3>(x, z)"),
    case("concat-negative-axis", "y = Concat<axis=-1>(x, z)", x="tokens"),
    case("concat-constant", "y = Concat<axis=1>(x, c)", c=(2, 3, 6, 6)),
    case(
        "concat-class-token",
        "e = Expand(c, s) y = Concat<axis=1>(e, x)",
        x="tokens",
        c=(1, 1, 12),
        s=[2, 1, 12],
    ),
    case("concat-added-to-concat", "a = Concat<axis=1>(x, z) b = Concat<axis=1>(z, x) y = Add(a, b)"),
    case("concat-residual", "a = Concat<axis=1>(x, z) b = Conv(a, w) y = Add(a, b)", w=(24, 24, 1, 1)),
    case(
        "dense-block",
        "a = Conv<pads=[1,1,1,1]>(x, w) b = Concat<axis=1>(x, a) c = Conv(b, v) y = Concat<axis=1>(x, a, c)",
        w=(4, 12, 3, 3),
        v=(4, 16, 1, 1),
        head="none",
        pinned="output",
    ),
    case(
        "dense-block-read",
        "a = Conv<pads=[1,1,1,1]>(x, w) b = Concat<axis=1>(x, a) c = Conv(b, v) y = Concat<axis=1>(x, a, c)",
        w=(4, 12, 3, 3),
        v=(4, 16, 1, 1),
    ),
    # Slice
    case(
        "slice-channels-attribute",
        "y = Slice<axes=[1], starts=[0], ends=[8]>(x) y2 = Slice<axes=[1], starts=[8], ends=[99]>(x)",
        opset=(7, 9),
        kept=6,
    ),
    case(
        "slice-channels",
        "y = Slice(x, o, m, a) y2 = Slice(x, m, e, a)",
        opset=(10, 11, 13),
        o=[0],
        m=[5],
        e=[LAST],
        a=[1],
    ),
    case(
        "slice-channels-overlapping",
        "y = Slice(x, o, m, a) y2 = Slice(x, p, e, a)",
        o=[0],
        m=[8],
        p=[4],
        e=[12],
        a=[1],
        kept=6,
    ),
    case(
        "slice-channels-negative",
        "y = Slice(x, o, m, a) y2 = Slice(x, m, e, a)",
        o=[0],
        m=[-4],
        e=[LAST],
        a=[-3],
        kept=6,
    ),
    case("slice-no-axes", "y = Slice(x, o, e)", o=[0, 2], e=[2, 12]),
    case("slice-space", "y = Slice(x, o, e, a, s)", o=[1, 0], e=[LAST, LAST], a=[2, 3], s=[2, 2]),
    case("slice-space-reversed", "y = Slice(x, o, e, a, s)", o=[-1], e=[-LAST], a=[3], s=[-1]),
    case("slice-channels-step", "y = Slice(x, o, e, a, s)", o=[0], e=[12], a=[1], s=[2], pinned="step"),
    case(
        "slice-channels-reversed", "y = Slice(x, o, e, a, s)", o=[-1], e=[-LAST], a=[1], s=[-1], pinned="step"
    ),
    case(
        "slice-one-channel",
        "a = Slice(x, o, e, a1) b = Sigmoid(a) y = Mul(x, b)",
        o=[3],
        e=[4],
        a1=[1],
        pinned="*",
    ),
    case(
        "slice-both-halves-swapped",
        "a = Slice(x, o, m, i) b = Slice(x, m, e, i) y = Concat<axis=1>(b, a)",
        o=[0],
        m=[6],
        e=[12],
        i=[1],
    ),
    case(
        "slice-gated-halves",
        "a = Slice(x, o, m, i) b = Slice(x, m, e, i) g = Sigmoid(b) y = Mul(a, g)",
        o=[0],
        m=[6],
        e=[12],
        i=[1],
        kept=6,
    ),
    # Split
    case("split-attribute", "y, y2 = Split<axis=1, split=[6,6]>(x)", opset=(7, 11), kept=6),
    case("split-attribute-uneven", "y, y2 = Split<axis=1, split=[4,8]>(x)", opset=11, kept=6),
    case("split-equal", "y, y2, y3 = Split<axis=1>(x)", opset=(11, 13), kept=6),
    case("split-input", "y, y2 = Split<axis=1>(x, s)", opset=(13, 18), s=[4, 8], kept=6),
    case("split-count", "y, y2 = Split<axis=1, num_outputs=2>(x)", opset=18, kept=6),
    case("split-tokens-uneven", "y, y2 = Split<axis=1, num_outputs=2>(x)", opset=18, x="tokens"),
    case("split-space", "y, y2 = Split<axis=2>(x)"),
    case("split-gate", "a, b = Split<axis=1>(x) g = Sigmoid(b) y = Mul(a, g)", kept=6),
    case("split-added", "a, b = Split<axis=1>(x) y = Add(a, b)", kept=6),
    case(
        "split-c2f",
        "a, b = Split<axis=1>(x) c = Conv(b, w) d = Add(b, c) y = Concat<axis=1>(a, b, d)",
        w=(6, 6, 1, 1),
        kept=None,
    ),
    case(
        "split-shuffle-unit",
        "a, b = Split<axis=1>(x) c = Conv(b, w) d = Concat<axis=1>(a, c) e = Reshape(d, s)"
        " f = Transpose<perm=[0,2,1,3,4]>(e) y = Reshape(f, t)",
        w=(6, 6, 1, 1),
        s=[2, 2, 6, 6, 6],
        t=[2, 12, 6, 6],
        kept=None,
    ),
    case("split-unused-part", "y, a = Split<axis=1>(x)", kept=6),
    # Gather and its kin
    case("gather-channels-permuted", "y = Gather<axis=1>(x, i)", opset=(7, 11, 13), i=SHUFFLE),
    case("gather-channels-some", "y = Gather<axis=1>(x, i)", i=[1, 5, 7, 8, 2, 11], kept=None),
    case(
        "gather-channels-repeated",
        "y = Gather<axis=1>(x, i)",
        i=[0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11],
    ),
    case("gather-channels-negative", "y = Gather<axis=1>(x, i)", i=[-1, -2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    case(
        "gather-channels-table",
        "a = Gather<axis=1>(x, i) y = Reshape(a, s)",
        i=[[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]],
        s=[2, 12, 6, 6],
        pinned="*",
    ),
    case(
        "gather-one-channel",
        "a = Gather<axis=1>(x, i) b = Unsqueeze(a, one) y = Mul(x, b)",
        i=np.int64(3),
        one=[1],
        pinned="*",
    ),
    case("gather-space", "y = Gather<axis=2>(x, i)", i=[0, 2, 4]),
    case("gather-first-token", "y = Gather<axis=1>(x, i)", x="tokens", i=np.int64(0)),
    case(
        "gather-dynamic",
        "m = ReduceMax<axes=[1,3], keepdims=0>(image) k = ArgMax<axis=1, keepdims=0>(m) y = Gather<axis=2>(x, k)",
    ),
    case(
        "gather-elements",
        "y = GatherElements<axis=1>(x, i)",
        i=np.zeros((2, 4, 6, 6), np.int64),
        pinned="GatherElements",
    ),
    case("gather-nd", "a = GatherND(x, i) y = Unsqueeze(a, o)", i=[[0, 3], [1, 2]], o=[0], pinned="GatherND"),
    case(
        "scatter-elements",
        "y = ScatterElements<axis=1>(x, i, u)",
        opset=16,
        i=np.zeros((2, 1, 6, 6), np.int64),
        u=(2, 1, 6, 6),
        pinned="ScatterElements",
    ),
    case("scatter-nd", "y = ScatterND(x, i, u)", opset=16, i=[[0, 3]], u=(1, 6, 6), pinned="ScatterND"),
    case("compress", "y = Compress<axis=1>(x, c)", c=np.arange(12) % 3 > 0, pinned="*"),
    case(
        "one-hot",
        "a = ArgMax<axis=3, keepdims=0>(x) y = OneHot(a, d, v)",
        d=np.int64(6),
        v=np.array([0, 1], F),
        pinned="*",
    ),
    case(
        "reverse-sequence",
        "y = ReverseSequence<batch_axis=0, time_axis=1>(x, l)",
        x="tokens",
        l=[3, 5],
        pinned="*",
    ),
    # Pad
    case("pad-space-attribute", "y = Pad<pads=[0,0,1,1,0,0,1,1]>(x)", opset=(7, 10)),
    case("pad-space", "y = Pad(x, p)", opset=(11, 13, 18, 19, 21), p=[0, 0, 1, 1, 0, 0, 1, 1]),
    case("pad-space-reflect", 'y = Pad<mode="reflect">(x, p)', p=[0, 0, 1, 1, 0, 0, 1, 1]),
    case("pad-space-cropped", "y = Pad(x, p)", p=[0, 0, -1, -1, 0, 0, -1, -1]),
    case("pad-space-value-axes", "y = Pad(x, p, v, a)", opset=18, p=[1, 1, 2, 2], v=F(1.5), a=[2, 3]),
    case("pad-channels", "y = Pad(x, p)", p=[0, 4, 0, 0, 0, 4, 0, 0]),
    case("pad-channels-attribute", "y = Pad<pads=[0,4,0,0,0,0,0,0]>(x)", opset=10),
    case(
        "pad-channels-residual",
        "p = AveragePool<kernel_shape=[1,1], strides=[2,2]>(x) s = Pad(p, a)"
        " c = Conv<strides=[2,2]>(x, w) y = Add(s, c)",
        a=[0, 4, 0, 0, 0, 4, 0, 0],
        w=(20, 12, 1, 1),
    ),
    case("pad-channels-axes", "y = Pad(x, p, v, a)", opset=18, p=[2, 3], v=F(0), a=[1]),
    case("pad-channels-value", "y = Pad(x, p, v)", p=[0, 1, 0, 0, 0, 1, 0, 0], v=F(0.7), pinned="*"),
    case("pad-channels-reflect", 'y = Pad<mode="reflect">(x, p)', p=[0, 2, 0, 0, 0, 2, 0, 0], pinned="Pad"),
    case("pad-channels-edge", 'y = Pad<mode="edge">(x, p)', p=[0, 2, 0, 0, 0, 0, 0, 0], pinned="Pad"),
    case("pad-channels-cropped", "y = Pad(x, p)", p=[0, -2, 0, 0, 0, -2, 0, 0], pinned="*"),
]
