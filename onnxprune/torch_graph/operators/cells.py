"""One time step of the recurrent layers, and the activations that they may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Function = Callable[[Tensor], Tensor]
States = tuple[Tensor, ...]


class Cell(NamedTuple):
    """A kind of recurrent layer, and, once they are filled in, the weights of one direction.

    Attributes:
        step: from the weighted input of a time step and the states to the new states, the output first.
        activations: their default names, lower case.
        fused_variant: the variant that torch computes.
        functions: the activations.
        r: recurrent weights, shape (gates * hidden, hidden).
        bias: of input and state, shape (gates * hidden,) each.
        peepholes: of input, output and forget gate, shape (hidden,) each, or None.
        variant: ``input_forget`` of an LSTM, ``linear_before_reset`` of a GRU.
    """

    step: Callable[[Cell, Tensor, States], States]
    activations: tuple[str, ...]
    fused_variant: bool = False
    functions: tuple[Function, ...] = ()
    r: Tensor | None = None
    bias: tuple[Tensor, ...] = ()
    peepholes: tuple[Tensor, ...] | None = None
    variant: bool = False


def lstm_step(cell: Cell, x: Tensor, states: States) -> States:
    """Output and cell state; gates in the order input, output, forget, cell."""
    f, g, h = cell.functions
    output, memory = states
    i, o, forget, c = (x + functional.linear(output, cell.r) + sum(cell.bias)).chunk(4, -1)
    p = cell.peepholes or (0.0, 0.0, 0.0)
    i = f(i + p[0] * memory)
    forget = 1 - i if cell.variant else f(forget + p[2] * memory)
    memory = forget * memory + i * g(c)
    return f(o + p[1] * memory) * h(memory), memory


def gru_step(cell: Cell, x: Tensor, states: States) -> States:
    """Output; gates in the order update, reset, hidden."""
    f, g = cell.functions
    (output,) = states
    (xz, xr, xh), (rz, rr, rh) = x.chunk(3, -1), cell.r.chunk(3)  # type: ignore[union-attr]
    (wz, wr, wh), (bz, br, bh) = (b.chunk(3) for b in cell.bias)
    z = f(xz + functional.linear(output, rz) + wz + bz)
    r = f(xr + functional.linear(output, rr) + wr + br)
    if cell.variant:
        hidden = g(xh + r * (functional.linear(output, rh) + bh) + wh)
    else:
        hidden = g(xh + functional.linear(r * output, rh) + bh + wh)
    return ((1 - z) * hidden + z * output,)


def rnn_step(cell: Cell, x: Tensor, states: States) -> States:
    """Output."""
    return (cell.functions[0](x + functional.linear(states[0], cell.r) + sum(cell.bias)),)


CELLS: Mapping[str, Cell] = {
    "LSTM": Cell(lstm_step, ("sigmoid", "tanh", "tanh")),
    "GRU": Cell(gru_step, ("sigmoid", "tanh"), fused_variant=True),
    "RNN": Cell(rnn_step, ("tanh",)),
}

_PLAIN: Mapping[str, Function] = {
    "relu": functional.relu,
    "sigmoid": torch.sigmoid,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "tanh": torch.tanh,
}
_WITH_ALPHA: Mapping[str, tuple[float, Callable[[Tensor, float], Tensor]]] = {
    "elu": (1.0, functional.elu),
    "leakyrelu": (0.01, functional.leaky_relu),
    "thresholdedrelu": (1.0, lambda x, a: functional.threshold(x, a, 0.0)),
}
_WITH_BOTH: Mapping[str, tuple[float, float, Callable[[Tensor, float, float], Tensor]]] = {
    "affine": (1.0, 0.0, lambda x, a, b: a * x + b),
    "hardsigmoid": (0.2, 0.5, lambda x, a, b: torch.clamp(a * x + b, 0.0, 1.0)),
    "scaledtanh": (1.0, 1.0, lambda x, a, b: a * torch.tanh(b * x)),
}


def activation_of(name: str, alpha: Iterator[float], beta: Iterator[float], clip: float | None) -> Function:
    """An activation by its name in ONNX.

    Args:
        name: in any case.
        alpha: parameters left; one is taken where the activation has one.
        beta: second parameters left.
        clip: bound of what goes in, None for none.
    """
    function = _unbounded(name.lower(), alpha, beta)
    if clip is None:
        return function
    return lambda x: function(torch.clamp(x, -clip, clip))


def _unbounded(name: str, alpha: Iterator[float], beta: Iterator[float]) -> Function:
    if name in _PLAIN:
        return _PLAIN[name]
    if name in _WITH_ALPHA:
        default, one = _WITH_ALPHA[name]
        a = next(alpha, default)
        return lambda x: one(x, a)
    default_a, default_b, both = _WITH_BOTH[name]
    a, b = next(alpha, default_a), next(beta, default_b)
    return lambda x: both(x, a, b)
