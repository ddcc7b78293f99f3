"""Batch normalisations behind convolutions that have lost theirs, for training, and folding them again.

Exporters fold batch normalisation into the convolution before it. Without it, training wants small steps and
is easily thrown off. One that is inserted here starts as the identity on calibration data: it has the
statistics of what the convolution gives, and scale and bias that undo the normalisation.

In front of a normalisation the length of a filter means nothing to the result and everything to the training:
a step of the same rate turns a short filter further (van Laarhoven 2017, arXiv 1706.05350). Folding leaves
filters of any length, so they are brought to about the length that they have in networks that were trained
with normalisation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx, nn

from onnxprune.errors import UsageError
from onnxprune.torch_graph.module import BatchNorm, Inserted, OnnxModule, batch_norm
from onnxprune.torch_graph.naming import Attributes, legal
from onnxprune.torch_graph.operators.spatial import CONVOLUTIONS

Batch: TypeAlias = "Tensor | Sequence[Tensor] | Mapping[str, Tensor]"

EPSILON = 1e-5
MOMENTUM = 0.1
LENGTH = 1.0
"""Of a filter in front of a normalisation: in a ResNet-56 0.6 to 1.7, and 0.2 to 2.6 once folded."""
FARTHEST = 30
"""Largest exponent of two that a filter is multiplied by."""

_FUNCTIONS = frozenset(CONVOLUTIONS.values())


class _Recorder(nn.Module):  # type: ignore[misc]
    """Passes on what it is given and keeps sums over all axes but that of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.total: Any = 0.0
        self.squares: Any = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Record a batch, shape (N, C, ...)."""
        axes = [axis for axis in range(x.dim()) if axis != 1]
        wide = x.detach().double()
        self.count += x.numel() // x.shape[1]
        self.total = self.total + wide.sum(axes)
        self.squares = self.squares + wide.square().sum(axes)
        return x

    def norm(self, dtype: torch.dtype, factor: Tensor) -> BatchNorm:
        """A batch normalisation that gives what was recorded, for so many times as much of each channel."""
        recorded = self.total / self.count
        mean, factor = recorded * factor, factor.double()
        variance = (self.squares / self.count - recorded * recorded).clamp(min=0.0) * factor.square()
        scale = nn.Parameter(((variance + EPSILON).sqrt() / factor).to(dtype))
        bias = nn.Parameter(recorded.to(dtype))
        statistics = (mean.to(dtype), variance.to(dtype))
        return batch_norm(scale, bias, *statistics, epsilon=EPSILON, momentum=MOMENTUM)


def insert(module: OnnxModule, batches: Iterable[Batch]) -> tuple[str, ...]:
    """Insert normalisations; see ``onnxprune.torch_graph.insert_batch_norm``."""
    rest = iter(batches)
    first = next(rest, None)
    if first is None:
        raise UsageError("There are no batches to take statistics from.", hint="Give at least one.")
    names = {path: name for name, path in module.initializer_names.items()}
    recorders: dict[str, tuple[_Recorder, str, str]] = {}
    for conv in list(_bare_convolutions(module.graph)):
        weight, bias = (names.get(str(operand.target), "") if operand else "" for operand in conv.args[1:3])
        path = legal(f"{conv.args[1].target}_norm", Attributes(module))
        recorders[path] = (_Recorder(), weight, bias)
        module.add_module(path, recorders[path][0])
        _put_behind(conv, path)
    module.attach(module.graph)
    _record(module, chain((first,), rest))
    made = [_replace(module, path, *recorder) for path, recorder in recorders.items()]
    module.inserted = (*module.inserted, *made)
    return tuple(recorders)


def _replace(module: OnnxModule, path: str, recorder: _Recorder, weight: str, bias: str) -> Inserted:
    """Put a normalisation where its statistics were recorded."""
    like = module.get_parameter(module.initializer_names[weight])
    factor = _lengthening(like)
    with torch.no_grad():
        like.mul_(_by_filter(factor, like))
        if bias:
            module.get_parameter(module.initializer_names[bias]).mul_(factor)
    norm = recorder.norm(like.dtype, factor).to(like.device).train(module.training)
    setattr(module, path, norm)
    return Inserted(path, weight, bias, _state(norm), factor)


def _lengthening(weight: Tensor) -> Tensor:
    """By what each filter is multiplied, (filters,): powers of two, as dividing by them is exact."""
    filters = weight.detach().double().flatten(1)
    exponents = torch.log2(LENGTH / filters.norm(dim=1)).round().clamp(-FARTHEST, FARTHEST)
    factor = torch.exp2(exponents).to(weight.dtype)[:, None]
    stored = weight.detach().flatten(1)
    exact = (stored * factor / factor == stored).all(1)  # not where a filter is zero, or next to it
    return torch.where(exact & filters.any(1), factor[:, 0], 1)


def _by_filter(values: Tensor, weight: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (weight.dim() - 1))


def folded(module: OnnxModule, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights and biases of convolutions with the normalisations behind them folded in.

    Args:
        module: which may have inserted normalisations.
        state: its parameters and buffers by path.

    Returns:
        The values by constant; and the biases of convolutions that have none yet, by constant of the weight.
    """
    found: dict[str, Tensor] = {}
    added: dict[str, Tensor] = {}
    for one in module.inserted:
        norm = module.get_submodule(one.path)
        now = _state(norm)
        weight = state[module.initializer_names[one.weight]].detach().double()
        bias = state[module.initializer_names[one.bias]].detach().double() if one.bias else None
        if all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(now, one.start, strict=True)):
            factor = 1 / one.factor.double().to(weight.device)
            shifted = None if bias is None else bias * factor
        else:
            scale, shift, mean, variance = (tensor.double() for tensor in now)
            factor = scale / torch.sqrt(variance + norm.eps)
            shifted = ((0.0 if bias is None else bias) - mean) * factor + shift
        found[one.weight] = weight * _by_filter(factor, weight)
        if shifted is not None:
            (found if one.bias else added)[one.bias or one.weight] = shifted
    return found, added


def _bare_convolutions(graph: fx.Graph) -> Iterator[fx.Node]:
    """Convolutions with a weight of their own and neither a normalisation nor an output behind them."""
    for node in graph.nodes:
        if node.op == "call_function" and node.target in _FUNCTIONS:
            operands = [operand for operand in node.args[1:3] if operand is not None]
            own = all(operand.op == "get_attr" and len(operand.users) == 1 for operand in operands)
            if own and not any(user.op in ("call_module", "output") for user in node.users):
                yield node


def _put_behind(node: fx.Node, path: str) -> None:
    with node.graph.inserting_after(node):
        made = node.graph.call_module(path, (node,))
    node.replace_all_uses_with(made, delete_user_cb=lambda user: user is not made)


def _record(module: OnnxModule, batches: Iterable[Batch]) -> None:
    training = module.training
    module.eval()
    with torch.no_grad():
        for batch in batches:
            if isinstance(batch, Tensor):
                module(batch)
            elif isinstance(batch, Mapping):
                module(**batch)
            else:
                module(*batch)
    module.train(training)


def _state(norm: BatchNorm) -> tuple[Tensor, ...]:
    tensors = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    return tuple(tensor.detach().clone() for tensor in tensors)
