"""Single layers that the blocks of random graphs are made of."""

from __future__ import annotations

import numpy as np
from graph_builder import Builder, F, Value

EPSILON = 1e-2
"""Of every norm: large, as few channels may be left, and a norm of two nearly equal ones amplifies rounding."""


def conv(
    g: Builder,
    x: Value,
    out: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    group: int = 1,
    bias: bool | None = None,
) -> Value:
    """Convolution that keeps the size of the map (divided by the stride)."""
    w = g.weight(out, x.channels // group, kernel, kernel, fan_in=x.channels // group * kernel**2)
    given = [x, w] + ([g.bias(out, mergeable=True)] if (g.chance(0.5) if bias is None else bias) else [])
    pads, strides = [kernel // 2] * 4, [stride, stride]
    space = [(s + 2 * (kernel // 2) - kernel) // stride + 1 for s in x.space]
    name = g.op("Conv", *given, group=group, kernel_shape=[kernel, kernel], pads=pads, strides=strides)
    return Value(name, (x.shape[0], out, *space))


def depthwise(g: Builder, x: Value, *, multiplier: int = 1, stride: int = 1) -> Value:
    return conv(g, x, x.channels * multiplier, group=x.channels, stride=stride)


def batch_norm(g: Builder, x: Value) -> Value:
    c = x.channels
    return g.map("BatchNormalization", x, g.near_one(c), g.bias(c), g.bias(c), g.near_one(c))


def act(g: Builder, x: Value) -> Value:
    """One of the usual activations, in one of its usual spellings."""
    kind = str(
        g.pick(
            [
                "Relu",
                "Relu",
                "Sigmoid",
                "Tanh",
                "LeakyRelu",
                "Elu",
                "clip",
                "silu",
                "hardswish",
                "gelu",
                "prelu",
                "",
            ]
        )
    )
    if not kind:
        return x
    if kind[0].isupper():
        return g.map(kind, x)
    return _WRITTEN_OUT[kind](g, x)


def _clip(g: Builder, x: Value) -> Value:
    return g.map("Clip", x, g.constant(0, F), g.constant(6, F))


def _silu(g: Builder, x: Value) -> Value:
    return g.map("Mul", x, g.map("Sigmoid", x))


def _hardswish(g: Builder, x: Value) -> Value:
    if g.opset >= 14 and g.chance(0.5):
        return g.map("HardSwish", x)
    return g.map("Mul", x, g.map("HardSigmoid", x, alpha=1 / 6))


def _gelu(g: Builder, x: Value) -> Value:
    if g.opset >= 20 and g.chance(0.5):
        return g.map("Gelu", x)
    e = g.map("Erf", g.map("Div", x, g.constant(1.41421356, F)))
    return g.map("Mul", g.map("Mul", x, g.map("Add", e, g.constant(1, F))), g.constant(0.5, F))


def _prelu(g: Builder, x: Value) -> Value:
    tail = [1] * (len(x.shape) - 2) if len(x.shape) == 4 else []
    return g.map("PRelu", x, g.near_one(1 if g.chance(0.3) else x.channels, *tail))


_WRITTEN_OUT = {"clip": _clip, "silu": _silu, "hardswish": _hardswish, "gelu": _gelu, "prelu": _prelu}


def dense(g: Builder, x: Value, out: int, *, bias: bool | None = None, gain: float = 1.2) -> Value:
    """MatMul and Add on tokens, Gemm (or MatMul and Add) on vectors, weights in either orientation."""
    n = x.shape[-1]
    shape = (*x.shape[:-1], out)
    with_bias = g.chance(0.7) if bias is None else bias
    if len(x.shape) == 2 and g.chance(0.7):
        flipped = int(g.chance(0.5))
        w = g.weight(*((out, n) if flipped else (n, out)), fan_in=n, gain=gain)
        return Value(g.op("Gemm", x, w, *([g.bias(out)] if with_bias else []), transB=flipped), shape)
    w = g.weight(n, out, fan_in=n, gain=gain)
    if g.chance(0.15):
        w = g.op("Transpose", g.weight(out, n, fan_in=n, gain=gain), perm=[1, 0])
    y = Value(g.op("MatMul", x, w), shape)
    if not with_bias:
        return y
    b = g.bias(out)
    return Value(g.op("Add", *((y, b) if g.chance(0.5) else (b, y))), shape)


def layer_norm(g: Builder, x: Value) -> Value:
    """Over the last axis: fused where the opset has it, written out, or by root mean square."""
    c = x.shape[-1]
    kind = str(g.pick(["fused", "fused", "parts", "rms"]))
    if kind == "fused" and g.opset >= 17:
        return g.map(
            "LayerNormalization",
            x,
            g.near_one(c),
            *([g.bias(c)] if g.chance(0.8) else []),
            axis=-1,
            epsilon=EPSILON,
        )
    centred = x if kind == "rms" else g.map("Sub", x, g.reduce_mean(x, [-1]))
    square = g.map("Pow", centred, g.constant(2, F)) if g.chance(0.5) else g.map("Mul", centred, centred)
    variance = g.map("Add", g.reduce_mean(square, [-1]), g.constant(EPSILON, F))
    y = g.map("Div", centred, g.map("Sqrt", variance))
    y = g.map("Mul", y, g.near_one(c))
    return y if kind == "rms" else g.map("Add", y, g.bias(c))


def group_norm(g: Builder, x: Value, groups: int) -> Value:
    """GroupNormalization, or as exporters write it: InstanceNormalization of a reshaped map."""
    c = x.channels
    if g.opset >= 21 and g.chance(0.5):
        return g.map("GroupNormalization", x, g.near_one(c), g.bias(c), num_groups=groups, epsilon=EPSILON)
    a = Value(
        g.op("Reshape", x, g.constant([0, groups, -1])),
        (x.shape[0], groups, int(np.prod(x.shape[1:])) // groups),
    )
    n = g.map(
        "InstanceNormalization",
        a,
        g.constant(np.ones(groups), F),
        g.constant(np.zeros(groups), F),
        epsilon=EPSILON,
    )
    target = (
        g.op("Shape", x) if g.chance(0.5) else g.constant([-1 if g.dynamic else x.shape[0], *x.shape[1:]])
    )
    y = Value(g.op("Reshape", n, target), x.shape)
    return g.map("Add", g.map("Mul", y, g.near_one(c, 1, 1)), g.bias(c, 1, 1))


def instance_norm(g: Builder, x: Value) -> Value:
    return g.map("InstanceNormalization", x, g.near_one(x.channels), g.bias(x.channels), epsilon=EPSILON)


def conv_norm_act(
    g: Builder, x: Value, out: int, *, kernel: int = 3, stride: int = 1, group: int = 1
) -> Value:
    """The usual triple, with a norm that is often absent."""
    y = conv(g, x, out, kernel=kernel, stride=stride, group=group)
    kind = str(g.pick(["batch", "batch", "none", "none", "instance", "group"]))
    if kind == "batch":
        y = batch_norm(g, y)
    elif kind == "instance" and min(y.space) > 1:
        y = instance_norm(g, y)
    elif kind == "group":
        y = group_norm(g, y, next(n for n in (4, 3, 2, 1) if out % n == 0))
    return act(g, y)


def global_pool(g: Builder, x: Value, *, flat: bool) -> Value:
    """Global average: the operator or ReduceMean, keeping the two axes of size 1 or not."""
    if g.chance(0.5):
        return g.reduce_mean(x, [-2, -1] if g.chance(0.5) else [2, 3], keepdims=int(not flat))
    y = Value(g.op("GlobalAveragePool", x), (*x.shape[:2], 1, 1))
    if not flat:
        return y
    kind = int(g.rng.integers(3))
    if kind == 0:
        return Value(g.op("Flatten", y, axis=1), x.shape[:2])
    return g.squeeze(y, [2, 3]) if kind == 1 else g.reshape(y, *x.shape[:2])
