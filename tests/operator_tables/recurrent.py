"""LSTM, GRU and RNN: what comes in, and the hidden units."""

from __future__ import annotations

import numpy as np
from operator_case import case

# x is (batch 2, 5 steps, 12); time comes first in the operators
IN = "t = Transpose<perm=[1,0,2]>(x)"
OUT = "s = Squeeze(o, one) y = Transpose<perm=[1,0,2]>(s)"
BOTH = "u = Transpose<perm=[2,0,1,3]>(o) y = Reshape(u, shape)"
T = {"x": "tokens", "one": [1]}
H = {"x": "input tokens", "one": [1]}
SINGLE = {"w": (1, 32, 12), "r": (1, 32, 8), "b": (1, 64)}

CASES = [
    case("lstm", f"{IN} o = LSTM<hidden_size=8>(t, w, r, b) {OUT}", **T, opset=(13, 14, 22), **SINGLE),
    case("lstm-no-bias", f"{IN} o = LSTM<hidden_size=8>(t, w, r) {OUT}", **T, w=(1, 32, 12), r=(1, 32, 8)),
    case(
        "lstm-last-state",
        f"{IN} o, h, c = LSTM<hidden_size=8>(t, w, r, b) y = Squeeze(h, zero) y2 = Squeeze(c, zero)",
        **T,
        zero=[0],
        **SINGLE,
    ),
    case(
        "lstm-bidirectional",
        f'{IN} o = LSTM<hidden_size=8, direction="bidirectional">(t, w, r, b) {BOTH}',
        x="tokens",
        w=(2, 32, 12),
        r=(2, 32, 8),
        b=(2, 64),
        shape=[2, 5, 16],
    ),
    case(
        "lstm-reverse", f'{IN} o = LSTM<hidden_size=8, direction="reverse">(t, w, r, b) {OUT}', **T, **SINGLE
    ),
    case(
        "lstm-initial-state",
        f'{IN} o = LSTM<hidden_size=8>(t, w, r, b, "", i, j) {OUT}',
        **T,
        i=(1, 2, 8),
        j=(1, 2, 8),
        **SINGLE,
    ),
    case(
        "lstm-stacked",
        f"{IN} o = LSTM<hidden_size=8>(t, w, r, b) q = Squeeze(o, one) p = LSTM<hidden_size=8>(q, w2, r, b)"
        " s = Squeeze(p, one) y = Transpose<perm=[1,0,2]>(s)",
        **T,
        w2=(1, 32, 8),
        **SINGLE,
    ),
    case(
        "lstm-hidden",
        f"{IN.replace('(x)', '(image)')} o = LSTM<hidden_size=12>(t, w, r, b) {OUT}",
        **H,
        w=(1, 48, 8),
        r=(1, 48, 12),
        b=(1, 96),
        weight=("r", 2),
        pinned="*",
    ),
    case(
        "lstm-peephole",
        f'{IN} o = LSTM<hidden_size=8>(t, w, r, b, "", "", "", p) {OUT}',
        **T,
        p=(1, 24),
        **SINGLE,
    ),
    case(
        "lstm-sequence-lengths",
        f"{IN} o = LSTM<hidden_size=8>(t, w, r, b, l) {OUT}",
        **T,
        l=np.array([3, 5], np.int32),
        **SINGLE,
    ),
    case(
        "gru",
        f"{IN} o = GRU<hidden_size=8>(t, w, r, b) {OUT}",
        **T,
        opset=(13, 14, 22),
        w=(1, 24, 12),
        r=(1, 24, 8),
        b=(1, 48),
    ),
    case(
        "gru-linear-before-reset",
        f"{IN} o = GRU<hidden_size=8, linear_before_reset=1>(t, w, r, b) {OUT}",
        **T,
        w=(1, 24, 12),
        r=(1, 24, 8),
        b=(1, 48),
    ),
    case(
        "gru-bidirectional",
        f'{IN} o = GRU<hidden_size=8, direction="bidirectional">(t, w, r, b) {BOTH}',
        x="tokens",
        w=(2, 24, 12),
        r=(2, 24, 8),
        b=(2, 48),
        shape=[2, 5, 16],
    ),
    case(
        "gru-hidden",
        f"{IN.replace('(x)', '(image)')} o = GRU<hidden_size=12>(t, w, r, b) {OUT}",
        **H,
        w=(1, 36, 8),
        r=(1, 36, 12),
        b=(1, 72),
        weight=("r", 2),
        pinned="*",
    ),
    case("rnn", f"{IN} o = RNN<hidden_size=8>(t, w, r, b) {OUT}", **T, w=(1, 8, 12), r=(1, 8, 8), b=(1, 16)),
    case(
        "rnn-hidden",
        f"{IN.replace('(x)', '(image)')} o = RNN<hidden_size=12>(t, w, r, b) {OUT}",
        **H,
        w=(1, 12, 8),
        r=(1, 12, 12),
        b=(1, 24),
        weight=("r", 2),
        pinned="*",
    ),
]
