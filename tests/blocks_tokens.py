"""Blocks of transformers: each takes tokens (batch, tokens, channels) and gives tokens."""

from __future__ import annotations

from math import isqrt

from blocks_layers import act, dense, layer_norm
from graph_builder import Builder, F, Value
from onnx import TensorProto, helper


def heads_of(g: Builder, x: Value, heads: int) -> Value:
    """(batch, tokens, heads * d) to (batch, heads, tokens, d)."""
    n, t, c = x.shape
    return g.transpose(g.reshape(x, n, t, heads, c // heads), 0, 2, 1, 3)


def attend(g: Builder, q: Value, k: Value, v: Value, *, mask: bool = False) -> Value:
    """Softmax of the scaled products of (batch, heads, tokens, d), times the values."""
    keys = g.transpose(k, 0, 1, 3, 2)
    scale = float(q.shape[3]) ** -0.5
    early = g.chance(0.3)
    if early:
        q = g.map("Mul", q, g.constant(scale, F))
    a = Value(g.op("MatMul", q, keys), (*q.shape[:3], k.shape[2]))
    a = a if early else g.map("Mul", a, g.constant(scale, F))
    if mask:
        a = g.map("Add", a, g.bias(1, a.shape[1], a.shape[2], a.shape[3]))
    return Value(g.op("MatMul", g.map("Softmax", a, axis=-1), v), (*q.shape[:3], v.shape[3]))


def joined(g: Builder, x: Value) -> Value:
    """(batch, heads, tokens, d) to (batch, tokens, heads * d)."""
    n, h, t, d = x.shape
    return g.reshape(g.transpose(x, 0, 2, 1, 3), n, t, h * d)


def separate_qkv(g: Builder, x: Value, heads: int, d: int) -> list[Value]:
    wide = d if g.chance(0.7) else 2 * d
    return [heads_of(g, dense(g, x, heads * size), heads) for size in (d, d, wide)]


def fused_split(g: Builder, x: Value, heads: int, d: int) -> list[Value]:
    return [heads_of(g, part, heads) for part in g.split(dense(g, x, 3 * heads * d), [heads * d] * 3, axis=2)]


def fused_slices(g: Builder, x: Value, heads: int, d: int) -> list[Value]:
    y, size = dense(g, x, 3 * heads * d), heads * d
    return [heads_of(g, g.slice(y, i * size, (i + 1) * size, 2), heads) for i in range(3)]


def fused_gather(g: Builder, x: Value, heads: int, d: int) -> list[Value]:
    """One Reshape to (batch, tokens, 3, heads, d), transposed, then picked by Gather or Split and Squeeze."""
    n, t, _ = x.shape
    y = g.transpose(g.reshape(dense(g, x, 3 * heads * d), n, t, 3, heads, d), 2, 0, 3, 1, 4)
    if g.chance(0.6):
        return [Value(g.op("Gather", y, g.constant(i), axis=0), y.shape[1:]) for i in range(3)]
    return [g.squeeze(part, [0]) for part in g.split(y, [1, 1, 1], axis=0)]


def grouped_queries(g: Builder, x: Value, heads: int, d: int) -> list[Value]:
    """Several query heads share one key and value head, which Expand repeats."""
    n, t, _ = x.shape
    shared, many = heads, 2
    q = heads_of(g, dense(g, x, shared * many * d), shared * many)
    pair = []
    for _ in range(2):
        y = heads_of(g, dense(g, x, shared * d), shared)
        u = Value(g.unsqueeze(y, [2]), (n, shared, 1, t, d))
        target = g.constant([1, 1, many, 1, 1] if g.dynamic or g.chance(0.5) else [n, shared, many, t, d])
        e = Value(g.op("Expand", u, target), (n, shared, many, t, d))
        pair.append(g.reshape(e, n, shared * many, t, d))
    return [q, *pair]


def attention(g: Builder, x: Value) -> Value:
    """Multi-head attention with its residual, the norm before it or after it."""
    heads, d = int(g.pick([1, 2, 3, 4])), int(g.pick([2, 4, 6]))
    before = g.chance(0.7)
    y = layer_norm(g, x) if before else x
    make = g.pick([separate_qkv, fused_split, fused_slices, fused_gather, grouped_queries])
    q, k, v = make(g, y, heads, d)
    y = dense(g, joined(g, attend(g, q, k, v, mask=g.chance(0.2))), x.channels)
    y = g.map("Add", *((x, y) if g.chance(0.5) else (y, x)))
    return y if before else layer_norm(g, y)


def windowed(g: Builder, x: Value) -> Value:
    """Swin: attention inside windows of 2x2 tokens."""
    n, t, c = x.shape
    side = isqrt(t)
    if side * side != t or side % 2:
        return attention(g, x)
    half = side // 2
    y = g.reshape(layer_norm(g, x), n, half, 2, half, 2, c)
    y = g.reshape(g.transpose(y, 0, 1, 3, 2, 4, 5), n * half * half, 4, c)
    q, k, v = g.pick([separate_qkv, fused_split, fused_gather])(g, y, 2, 4)
    y = dense(g, joined(g, attend(g, q, k, v)), c)
    y = g.transpose(g.reshape(y, n, half, half, 2, 2, c), 0, 1, 3, 2, 4, 5)
    return g.map("Add", x, g.reshape(y, n, t, c))


def mlp(g: Builder, x: Value) -> Value:
    y = layer_norm(g, x) if g.chance(0.8) else x
    y = act(g, dense(g, y, int(g.pick([8, 16, 24]))))
    return g.map("Add", x, dense(g, y, x.channels))


def gated_mlp(g: Builder, x: Value) -> Value:
    """SwiGLU, from two layers or from the halves of one."""
    y = layer_norm(g, x)
    a, b = g.halves(dense(g, y, 24), axis=2) if g.chance(0.5) else [dense(g, y, 12), dense(g, y, 12)]
    h = g.map("Mul", g.map("Mul", a, g.map("Sigmoid", a)), b)
    return g.map("Add", x, dense(g, h, x.channels))


def token_mixer(g: Builder, x: Value) -> Value:
    """MLP-Mixer: a dense layer over tokens, whose hidden tokens can go."""
    n, t, c = x.shape
    y = dense(g, g.map("Relu", dense(g, g.transpose(x, 0, 2, 1), 10)), t)
    assert y.shape == (n, c, t)
    return g.map("Add", x, g.transpose(y, 0, 2, 1))


def widened(g: Builder, x: Value) -> Value:
    return layer_norm(g, dense(g, x, int(g.pick([6, 8, 12, 16]))))


def positions(g: Builder, x: Value) -> Value:
    return g.map("Add", x, g.bias(1, x.shape[1], x.channels))


def class_token(g: Builder, x: Value) -> Value:
    """A learnt token before the others, repeated for the batch by Expand in one of the ways of exporters."""
    n, _, c = x.shape
    token = g.bias(1, 1, c)
    if g.chance(0.4):  # expand(n, -1, -1) of TorchScript
        size = g.op(
            "Concat",
            g.unsqueeze(g.op("Gather", g.op("Shape", x), g.constant(0), axis=0), [0]),
            g.constant([-1, -1]),
            axis=0,
        )
        ones = g.op(
            "ConstantOfShape", g.constant([3]), value=helper.make_tensor("one", TensorProto.INT64, [1], [1])
        )
        keep = g.op("Equal", size, g.op("Mul", ones, g.constant(-1)))
        target = g.op("Where", keep, ones, size)
    elif g.dynamic:
        size = g.op("Gather", g.op("Shape", x), g.constant([0]), axis=0)
        target = g.op("Concat", size, g.constant([1, c]), axis=0)
    else:
        target = g.constant([n, 1, 1] if g.chance(0.5) else [n, 1, c])
    return g.concat(Value(g.op("Expand", token, target), (n, 1, c)), x)


TOKENS = (attention, attention, attention, windowed, mlp, mlp, gated_mlp, token_mixer, widened, positions)


def to_tokens(g: Builder, x: Value) -> Value:
    """(batch, channels, height, width) to (batch, height * width, channels)."""
    n, c, h, w = x.shape
    if g.chance(0.5):
        return g.transpose(g.reshape(x, n, c, h * w), 0, 2, 1)
    return g.reshape(g.transpose(x, 0, 2, 3, 1), n, h * w, c)


def to_map(g: Builder, x: Value, space: tuple[int, ...]) -> Value:
    n, _, c = x.shape
    if g.chance(0.5):
        return g.reshape(g.transpose(x, 0, 2, 1), n, c, *space)
    return g.transpose(g.reshape(x, n, *space, c), 0, 3, 1, 2)
