"""Blocks of convolutional networks: each takes a map (batch, channels, height, width) and gives one."""

from __future__ import annotations

from blocks_layers import act, batch_norm, conv, conv_norm_act, depthwise, global_pool, layer_norm
from graph_builder import Builder, F, Value

WIDTHS = (4, 6, 8, 12, 16, 24)


def width(g: Builder) -> int:
    return int(g.pick(WIDTHS))


def plain(g: Builder, x: Value) -> Value:
    return conv_norm_act(
        g, x, width(g), kernel=int(g.pick([1, 3])), stride=2 if min(x.space) > 4 and g.chance(0.2) else 1
    )


def separable(g: Builder, x: Value) -> Value:
    y = act(g, batch_norm(g, depthwise(g, x, multiplier=2 if g.chance(0.2) else 1)))
    return conv_norm_act(g, y, width(g), kernel=1)


def grouped(g: Builder, x: Value) -> Value:
    groups = next(n for n in (4, 3, 2, 1) if x.channels % n == 0)
    return conv_norm_act(g, x, groups * int(g.pick([2, 3, 4])), group=groups)


def residual(g: Builder, x: Value) -> Value:
    """Basic block, with any number of branches, the shortcut plain or projected."""
    out = x.channels if g.chance(0.6) else width(g)
    y = x if out == x.channels else conv(g, x, out, kernel=1)
    for _ in range(int(g.rng.integers(1, 4))):
        branch = conv_norm_act(g, x, width(g))
        branch = conv(g, branch, out, kernel=1)
        y = g.map("Add", *((y, branch) if g.chance(0.5) else (branch, y)))
    return act(g, y)


def bottleneck(g: Builder, x: Value) -> Value:
    """ResNeXt: 1x1, grouped 3x3, 1x1, add."""
    groups = int(g.pick([1, 2, 4]))
    y = conv_norm_act(g, x, groups * 4, kernel=1)
    y = conv_norm_act(g, y, groups * 4, group=groups)
    return act(g, g.map("Add", conv(g, y, x.channels, kernel=1), x))


def inverted(g: Builder, x: Value) -> Value:
    """MobileNet: expand, depthwise, gate, project, add."""
    y = act(g, conv(g, x, x.channels * 2, kernel=1))
    y = act(g, depthwise(g, y))
    if g.chance(0.5):
        y = gate(g, y)
    return g.map("Add", x, conv(g, y, x.channels, kernel=1))


def gate(g: Builder, x: Value) -> Value:
    """Squeeze and excitation with 1x1 convolutions or dense layers."""
    c, inner = x.channels, int(g.pick([2, 4, 6]))
    if g.chance(0.5):
        a = global_pool(g, x, flat=False)
        a = conv(g, g.map("Relu", conv(g, a, inner, kernel=1)), c, kernel=1)
    else:
        v = global_pool(g, x, flat=True)
        w = [g.weight(c, inner, fan_in=c), g.weight(inner, c, fan_in=inner)]
        h = g.op("Relu", g.op("Gemm", v, w[0], g.bias(inner)))
        v = Value(g.op("Gemm", h, w[1], g.bias(c)), v.shape)
        shape = (*v.shape, 1, 1)
        a = g.reshape(v, *shape) if g.chance(0.5) else Value(g.unsqueeze(v, [2, 3]), shape)
    s = g.map(str(g.pick(["Sigmoid", "HardSigmoid"])), a)
    return Value(g.op("Mul", *((x, s) if g.chance(0.5) else (s, x))), x.shape)


def spatial_gate(g: Builder, x: Value) -> Value:
    """A map of one channel gates all of them; it may come from the mean over channels."""
    a = g.reduce_mean(x, [1]) if g.chance(0.5) else conv(g, x, 1, kernel=1)
    return g.map("Mul", x, g.map("Sigmoid", conv(g, a, 1)))


def dense_block(g: Builder, x: Value) -> Value:
    """DenseNet: every layer reads the concatenation of all earlier ones."""
    parts = [x]
    for _ in range(int(g.rng.integers(1, 4))):
        y = parts[0] if len(parts) == 1 else g.concat(*parts)
        parts.append(conv(g, act(g, batch_norm(g, y)), int(g.pick([3, 4, 6]))))
    return conv_norm_act(g, g.concat(*parts), width(g), kernel=1)


def inception(g: Builder, x: Value) -> Value:
    pooled = g.map("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1])
    return act(g, g.concat(conv(g, x, 4, kernel=1), conv(g, x, 6), conv(g, pooled, 3, kernel=1)))


def c2f(g: Builder, x: Value) -> Value:
    """YOLO: the halves of one convolution, one of them refined again and again, all joined."""
    y = act(g, conv(g, x, 12, kernel=1))
    parts = g.halves(y)
    for _ in range(int(g.rng.integers(1, 3))):
        branch = conv(g, act(g, conv(g, parts[-1], 6)), 6)
        parts.append(g.map("Add", parts[-1], branch) if g.chance(0.6) else branch)
    return conv_norm_act(g, g.concat(*parts), width(g), kernel=1)


def shuffle(g: Builder, x: Value, groups: int) -> Value:
    """Channel shuffle by Reshape, Transpose, Reshape, or by an index table."""
    n, c, h, w = x.shape
    if g.chance(0.2):
        order = [j * (c // groups) + i for i in range(c // groups) for j in range(groups)]
        return g.map("Gather", x, g.constant(order), axis=1)
    a = g.reshape(x, n, groups, c // groups, h, w)
    return g.reshape(g.transpose(a, 0, 2, 1, 3, 4), n, c, h, w)


def shuffle_v1(g: Builder, x: Value) -> Value:
    if x.channels % 2:
        return plain(g, x)
    inner = conv_norm_act(g, x, 8, kernel=1, group=2)
    y = batch_norm(g, depthwise(g, shuffle(g, inner, 2)))
    y = conv(g, y, x.channels, kernel=1, group=2)
    return g.map("Relu", g.map("Add", x, y) if g.chance(0.5) else g.concat(x, y))


def shuffle_v2(g: Builder, x: Value) -> Value:
    y = x if x.channels % 2 == 0 else conv(g, x, 8, kernel=1)
    for _ in range(int(g.rng.integers(1, 3))):
        a, b = g.halves(y)
        b = g.map("Relu", conv(g, b, b.channels, kernel=1))
        b = g.map("Relu", conv(g, depthwise(g, b), b.channels, kernel=1))
        y = shuffle(g, g.concat(a, b), 2)
    return y


def padded_shortcut(g: Builder, x: Value) -> Value:
    """CIFAR ResNets of option A: the shortcut gains zero channels."""
    before, after = int(g.rng.integers(0, 5)), int(g.rng.integers(1, 5))
    y = conv(g, act(g, conv(g, x, width(g))), x.channels + before + after)
    return g.map("Relu", g.map("Add", y, g.pad_channels(x, before, after)))


def shared(g: Builder, x: Value) -> Value:
    """One convolution applied to two maps, or twice in a row."""
    out = x.channels
    w, b = g.weight(out, out, 3, 3, fan_in=9 * out), g.bias(out)
    other = x if g.chance(0.4) else conv(g, x, out, kernel=1)
    p = act(g, g.map("Conv", x, w, b, pads=[1] * 4))
    q = g.map("Conv", p if other is x else other, w, b, pads=[1] * 4)
    return g.concat(p, q) if g.chance(0.5) else g.map("Sub", p, q)


def convnext(g: Builder, x: Value) -> Value:
    """Depthwise, to NHWC, norm, two dense layers, layer scale, back, add."""
    c = x.channels
    t = layer_norm(g, g.transpose(depthwise(g, x), 0, 2, 3, 1))
    w = [g.weight(c, 2 * c, fan_in=c), g.weight(2 * c, c, fan_in=2 * c)]
    h = Value(g.op("Add", g.op("MatMul", t, w[0]), g.bias(2 * c)), (*t.shape[:3], 2 * c))
    y = Value(g.op("MatMul", g.map("Relu", h), w[1]), t.shape)
    y = g.map("Mul", y, g.near_one(c)) if g.chance(0.5) else y
    return g.map("Add", x, g.transpose(y, 0, 3, 1, 2))


def unet(g: Builder, x: Value) -> Value:
    """Down, up by ConvTranspose or Resize, joined with what came before."""
    if min(x.space) % 2 or min(x.space) < 4:
        return residual(g, x)
    y = conv_norm_act(g, x, width(g), stride=2)
    half = (y.shape[0], width(g), *x.space)
    if g.chance(0.6):
        w = g.weight(y.channels, half[1], 2, 2, fan_in=y.channels)
        up = Value(g.op("ConvTranspose", y, w, g.bias(half[1]), strides=[2, 2]), half)
    else:
        scales = g.constant([1, 1, 2, 2], F)
        up = Value(g.op("Resize", y, g.constant([], F), scales, mode="nearest"), (*y.shape[:2], *x.space))
    return conv_norm_act(g, g.concat(up, x) if g.chance(0.5) else g.concat(x, up), width(g))


def pixel_shuffle(g: Builder, x: Value) -> Value:
    """Channels become pixels: DepthToSpace, or by Reshape and Transpose; then strided back."""
    n, _, h, w = x.shape
    c = int(g.pick([3, 4, 5]))
    y = conv(g, x, 4 * c)
    if g.chance(0.5):
        up = Value(
            g.op("DepthToSpace", y, blocksize=2, mode=str(g.pick(["DCR", "CRD"]))), (n, c, 2 * h, 2 * w)
        )
    else:
        a = g.transpose(g.reshape(y, n, c, 2, 2, h, w), 0, 1, 4, 2, 5, 3)
        up = g.reshape(a, n, c, 2 * h, 2 * w)
    return conv_norm_act(g, up, width(g), stride=2)


def space_to_depth(g: Builder, x: Value) -> Value:
    n, c, h, w = x.shape
    if h % 2 or w % 2 or h < 4:
        return plain(g, x)
    y = Value(g.op("SpaceToDepth", x, blocksize=2), (n, 4 * c, h // 2, w // 2))
    return conv_norm_act(g, y, width(g))


def gated_halves(g: Builder, x: Value) -> Value:
    """Gated linear unit over channels."""
    a, b = g.halves(conv(g, x, 2 * x.channels, kernel=1))
    return g.map("Mul", a, g.map("Sigmoid", b))


def nhwc(g: Builder, x: Value) -> Value:
    """As tf2onnx writes it: constants added in NHWC, convolutions in NCHW."""
    t = g.transpose(x, 0, 2, 3, 1)
    y = g.transpose(g.map("Add", t, g.bias(x.channels)), 0, 3, 1, 2)
    t = g.transpose(conv(g, y, width(g), bias=False), 0, 2, 3, 1)
    return g.transpose(g.map("Relu", g.map("Add", t, g.bias(t.shape[3]))), 0, 3, 1, 2)


MAPS = (
    plain,
    plain,
    separable,
    grouped,
    residual,
    residual,
    bottleneck,
    inverted,
    inverted,
    gate,
    spatial_gate,
)
MAPS += (dense_block, inception, c2f, shuffle_v1, shuffle_v2, padded_shortcut, shared, convnext, unet)
MAPS += (pixel_shuffle, space_to_depth, gated_halves, nhwc)
