"""Subgraphs, local functions, operators that nothing is known about."""

from __future__ import annotations

import numpy as np
from operator_case import case

F = np.float32
BRANCHES = "then_branch = g1 () => (float p) { p = Relu(x) }, else_branch = g2 () => (float q) { q = Neg(x) }"
BODY = "body = g1 (int64 i, bool c, float s) => (bool d, float t) { d = Identity(c) t = Add(s, x) }"
FUNCTION = '<domain: "my", opset_import: ["" : 13]> Twice (a) => (b) { b = Add(a, a) }'
MIXES = '<domain: "my", opset_import: ["" : 13]> Mixes (a) => (b) { b = Softmax<axis=1>(a) }'
DENSE = '<domain: "my", opset_import: ["" : 13]> Dense (a, w) => (b) { c = Relu(a) b = MatMul(c, w) }'

CASES = [
    case("if-captures", f"y = If<{BRANCHES}>(c)", opset=(11, 13, 16), c=np.bool_(True)),
    case(
        "if-captures-weight",
        "y = If<then_branch = g1 () => (float p) { p = MatMul(x, w) },"
        " else_branch = g2 () => (float q) { q = Neg(x) }>(c)",
        x="tokens",
        c=np.bool_(True),
        w=(12, 12),
        pinned="If",
    ),
    case(
        "if-beside",
        "y = Relu(x) y2 = If<then_branch = g1 () => (float p) { p = Relu(image) },"
        " else_branch = g2 () => (float q) { q = Neg(image) }>(c)",
        c=np.bool_(True),
    ),
    case(
        "loop-captures",
        f"z0 = Relu(x) y = Loop<{BODY}>(n, c, z0)",
        opset=(11, 13),
        n=np.int64(3),
        c=np.bool_(True),
        pinned="Loop",
    ),
    case(
        "loop-carries",
        "y = Loop<body = g1 (int64 i, bool c, float s) => (bool d, float t) { d = Identity(c) t = Relu(s) }>(n, e, x)",
        n=np.int64(3),
        e=np.bool_(True),
        pinned="Loop",
    ),
    case(
        "scan",
        "y = Scan<num_scan_inputs=1, body = g1 (float[12] s) => (float[12] t) { t = Relu(s) }>(x)",
        x="gemm",
        pinned="Scan",
    ),
    case("local-function", "y = my.Twice(x)", functions=(FUNCTION,), pinned="Twice"),
    case("local-function-mixes", "y = my.Mixes(x)", functions=(MIXES,), pinned="Mixes"),
    case(
        "local-function-with-weight",
        "y = my.Dense(x, w)",
        x="tokens",
        w=(12, 6),
        functions=(DENSE,),
        pinned="Dense",
    ),
    case("other-domain", "y = ai.onnx.ml.Scaler<offset=[0.5], scale=[2.0]>(x)", x="gemm", pinned="Scaler"),
    case("other-domain-mixes", 'y = ai.onnx.ml.Normalizer<norm="L2">(x)', x="gemm", pinned="Normalizer"),
    case("contrib-elementwise", "y = com.microsoft.QuickGelu<alpha=1.702>(x)", pinned="*"),
    case("contrib-fused", "y = com.microsoft.FusedMatMul<transA=0>(x, w)", x="tokens", w=(12, 6), pinned="*"),
    case(
        "optional-sequence",
        "s = SequenceConstruct(x, z) i = Constant<value_int=1>() y = SequenceAt(s, i)",
        pinned="Sequence",
    ),
]
