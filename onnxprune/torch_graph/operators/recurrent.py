"""Recurrent layers: by the fused functions of torch where they compute the same, else step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.operators.cells import CELLS, Cell, activation_of
from onnxprune.torch_graph.registry import emitter

Compute = Callable[["Layer", "Operands"], tuple[Tensor, tuple[Tensor, ...]]]
"""From attributes and operands to all outputs, (time, directions, batch, hidden), and the last states."""

_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
"""For each direction of a layer whether it runs backwards."""


class Layer(NamedTuple):
    """The attributes that the recurrent operators share.

    Attributes:
        kind: operator type.
        direction: ``forward``, ``reverse`` or ``bidirectional``.
        activations: names for all directions one after the other; empty for the default.
        alpha: parameters of the activations that have one, in order.
        beta: second parameters.
        clip: bound of what goes into an activation, None for none.
        batch_first: whether the batch comes before the time.
        variant: ``input_forget`` of an LSTM, ``linear_before_reset`` of a GRU.
    """

    kind: str
    direction: str
    activations: Sequence[str]
    alpha: Sequence[float]
    beta: Sequence[float]
    clip: float | None
    batch_first: bool
    variant: bool


class Operands(NamedTuple):
    """The tensors that a recurrent operator reads, time first.

    Attributes:
        x: shape (time, batch, features).
        w: input weights, (directions, gates * hidden, features).
        r: recurrent weights, (directions, gates * hidden, hidden).
        b: biases of both, (directions, 2 * gates * hidden), or None.
        lengths: of the sequences, (batch,), or None where all are full.
        states: first states, (directions, batch, hidden) each.
        peepholes: (directions, 3 * hidden), or None.
    """

    x: Tensor
    w: Tensor
    r: Tensor
    b: Tensor | None
    lengths: Tensor | None
    states: tuple[Tensor, ...]
    peepholes: Tensor | None


_STATES = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}
"""Inputs that hold the first states."""
_PEEPHOLES = 7
_VARIANTS = {"LSTM": "input_forget", "GRU": "linear_before_reset"}
_SHARED = ("activations", "activation_alpha", "activation_beta", "clip", "direction", "hidden_size", "layout")


@emitter("LSTM", 7, 14, 22)
@emitter("GRU", 7, 14, 22)
@emitter("RNN", 7, 14, 22)
def recurrent(call: Call) -> Any:
    """All outputs and the last states."""
    kind = call.node.op_type
    variant = _VARIANTS.get(kind, "")
    call.allow_attributes(frozenset({*_SHARED, variant}))
    layer = Layer(
        kind,
        call.attribute("direction", "forward"),
        tuple(call.attribute("activations", ())),
        tuple(call.attribute("activation_alpha", ())),
        tuple(call.attribute("activation_beta", ())),
        call.attribute("clip"),
        bool(call.attribute("layout", 0)),
        bool(call.attribute(variant, 0)),
    )
    found = call.emit(run, [call.tensor(i) for i in range(_PEEPHOLES + 1)], layer)
    return tuple(call.item(found, k) for k in range(1 + len(_STATES[kind])))


def run(inputs: Sequence[Any], layer: Layer) -> tuple[Tensor, ...]:
    """All outputs and the last states, in the layout of the node.

    Args:
        inputs: in the order of ONNX, None for absent ones.
        layer: the attributes.
    """
    x, w, r, b, lengths = inputs[:5]
    given = [inputs[place] for place in _STATES[layer.kind]]
    if layer.batch_first:
        x = x.transpose(0, 1)
        given = [None if state is None else state.transpose(0, 1) for state in given]
    zeros = x.new_zeros(len(r), x.shape[1], r.shape[-1])
    # a state that does not fit has to fail here: the fused functions do not look at its shape
    states = tuple(zeros if state is None else state.expand_as(zeros) for state in given)
    operands = Operands(x, w, r, b, lengths, states, inputs[_PEEPHOLES])
    compute = FUSED[layer.kind] if _can_be_fused(layer, operands) else step_by_step
    y, last = compute(layer, operands)
    if not layer.batch_first:
        return y, *last
    return y.permute(2, 0, 1, 3), *(state.transpose(0, 1) for state in last)


def _can_be_fused(layer: Layer, operands: Operands) -> bool:
    if torch.compiler.is_compiling():  # which fails to trace the fused functions
        return False
    cell = CELLS[layer.kind]
    default = [name.lower() for name in layer.activations] in ([], list(cell.activations) * len(operands.w))
    plain = layer.clip is None and operands.lengths is None and operands.peepholes is None
    return default and plain and layer.variant == cell.fused_variant


def _fused(function: Callable[..., Any], order: Sequence[int]) -> Compute:
    """A function of torch, told the order in which it wants the gates of ONNX."""

    def compute(layer: Layer, operands: Operands) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All outputs, shape (time, directions, batch, hidden), and the last states."""
        back = layer.direction == "reverse"
        x = operands.x.flip(0) if back else operands.x
        hidden, directions = operands.r.shape[-1], len(operands.w)
        flat = [t for k in range(directions) for t in _weights(operands, k, order)]
        state = operands.states if len(operands.states) > 1 else operands.states[0]
        train = torch.is_grad_enabled()
        y, *last = function(x, state, flat, operands.b is not None, 1, 0.0, train, directions > 1, False)
        y = y.reshape(*y.shape[:2], directions, hidden).transpose(1, 2)
        return (y.flip(0) if back else y), tuple(last)

    return compute


def _weights(operands: Operands, direction: int, order: Sequence[int]) -> list[Tensor]:
    """Weights of one direction as torch wants them."""
    found = [operands.w[direction], operands.r[direction]]
    if operands.b is not None:
        found += list(operands.b[direction].chunk(2))
    return [torch.cat([t.chunk(len(order))[gate] for gate in order]) for t in found]


FUSED = {
    "LSTM": _fused(torch.lstm, (0, 2, 3, 1)),
    "GRU": _fused(torch.gru, (1, 0, 2)),
    "RNN": _fused(torch.rnn_tanh, (0,)),
}
"""ONNX orders the gates i o f c (LSTM) and z r h (GRU); torch wants i f c o and r z h."""


def step_by_step(layer: Layer, operands: Operands) -> tuple[Tensor, tuple[Tensor, ...]]:
    """All outputs, shape (time, directions, batch, hidden), and the last states."""
    outputs, lasts = [], []
    for k, backwards in enumerate(_DIRECTIONS[layer.direction]):
        y, last = _one_direction(layer, operands, k, backwards)
        outputs.append(y)
        lasts.append(last)
    return torch.stack(outputs, 1), tuple(torch.stack(states) for states in zip(*lasts, strict=True))


def _one_direction(
    layer: Layer, operands: Operands, k: int, backwards: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    cell = _cell(layer, operands, k)
    states = tuple(state[k] for state in operands.states)
    inputs = functional.linear(operands.x, operands.w[k])
    outputs: list[Tensor] = [inputs] * len(inputs)
    times = range(len(inputs))
    for t in reversed(times) if backwards else times:
        new = cell.step(cell, inputs[t], states)
        if operands.lengths is not None:
            runs = (t < operands.lengths).unsqueeze(1)
            new = tuple(torch.where(runs, n, old) for n, old in zip(new, states, strict=True))
            outputs[t] = torch.where(runs, new[0], torch.zeros_like(new[0]))
        else:
            outputs[t] = new[0]
        states = new
    return torch.stack(outputs), states


def _cell(layer: Layer, operands: Operands, k: int) -> Cell:
    """The step function of one direction with its weights and activations."""
    kind = CELLS[layer.kind]
    count = len(kind.activations)
    names = layer.activations[k * count : (k + 1) * count] or kind.activations
    alpha, beta = iter(layer.alpha[k * count :]), iter(layer.beta[k * count :])
    bias = operands.r.new_zeros(2 * operands.r.shape[1]) if operands.b is None else operands.b[k]
    return kind._replace(
        functions=tuple(activation_of(name, alpha, beta, layer.clip) for name in names),
        r=operands.r[k],
        bias=tuple(bias.chunk(2)),
        peepholes=None if operands.peepholes is None else tuple(operands.peepholes[k].chunk(3)),
        variant=layer.variant,
    )
