"""Random graphs: one integer seed, one graph, so that a failure is reproduced by its number."""

from __future__ import annotations

import numpy as np
import onnx
from blocks_layers import conv, conv_norm_act, dense, global_pool, layer_norm
from blocks_maps import MAPS, width
from blocks_tokens import TOKENS, attention, class_token, to_map, to_tokens
from graph_builder import Builder, Value

OPSETS = (11, 13, 14, 17, 18, 20, 21)


def random_graph(seed: int) -> onnx.ModelProto:
    """A small network of two to six blocks with one to three heads."""
    rng = np.random.default_rng([seed, 2024])
    g = Builder(
        rng, int(rng.choice(OPSETS)), dynamic=bool(rng.random() < 0.4), merge=bool(rng.random() < 0.4)
    )
    side = int(g.pick([4, 6, 8]))
    x = conv_norm_act(g, g.input(3, side, side), width(g))
    seen = [x]
    for _ in range(int(rng.integers(1, 5))):
        x = _block(g, x, seen)
        seen.append(x)
    if g.chance(0.45):
        x = _transformer(g, x)
        seen.append(x)
    _heads(g, x, seen)
    return g.model()


def _block(g: Builder, x: Value, seen: list[Value]) -> Value:
    """A block, now and then joined with an earlier map of the same size."""
    y = g.pick(MAPS)(g, x)
    earlier = [v for v in seen if v.space == y.space]
    if earlier and g.chance(0.2):
        other = earlier[int(g.rng.integers(len(earlier)))]
        if other.channels == y.channels and g.chance(0.7):
            return g.map("Add", y, other)
        return g.concat(y, other)
    return y


def _transformer(g: Builder, x: Value) -> Value:
    """A few transformer blocks on the tokens of a map; back to a map at times."""
    t = to_tokens(g, conv(g, x, int(g.pick([8, 12, 16])), kernel=1) if g.chance(0.5) else x)
    for _ in range(int(g.rng.integers(1, 4))):
        t = g.pick(TOKENS)(g, t)
    if g.chance(0.4):
        return to_map(g, t, x.space)
    return attention(g, class_token(g, t)) if g.chance(0.4) else t


def _heads(g: Builder, x: Value, seen: list[Value]) -> None:
    g.output(_head(g, x))
    for other in seen[:-1]:
        if g.chance(0.15):
            g.output(_head(g, other))
    if g.chance(0.05):
        g.output(g.map("Relu", x))


def _head(g: Builder, x: Value) -> Value:
    """Scores, or a map of scores."""
    out = int(g.pick([3, 5]))
    if len(x.shape) == 3:
        x = layer_norm(g, x) if g.chance(0.5) else x
        if g.chance(0.2):
            return dense(g, x, out)
        if g.chance(0.3):
            return dense(g, Value(g.op("Gather", x, g.constant(0), axis=1), (x.shape[0], x.channels)), out)
        return dense(g, g.reduce_mean(x, [1], keepdims=0), out)
    kind = int(g.rng.integers(4))
    if kind == 0:
        return g.map("Sigmoid", conv(g, x, out, kernel=1))
    if kind == 1 and np.prod(x.shape[1:]) < 600:
        flat = (x.shape[0], int(np.prod(x.shape[1:])))
        y = Value(g.op("Flatten", x), flat) if g.chance(0.5) else g.reshape(x, *flat)
    else:
        y = global_pool(g, x, flat=True)
    if g.chance(0.5):
        y = g.map("Relu", dense(g, y, 12))
    y = dense(g, y, out)
    return g.map("Softmax", y, axis=-1) if g.chance(0.2) else y
