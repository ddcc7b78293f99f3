"""Normalisations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.registry import emitter, operator


@emitter("BatchNormalization", 7, 9, 14, 15)
def batch_normalization(call: Call) -> Any:
    """A module with running statistics where these are constants, as they are in any trained network."""
    epsilon, momentum = call.attribute("epsilon", 1e-5), call.attribute("momentum", 0.9)
    if call.attribute("spatial", 1) != 1:
        raise call.unsupported("with the attribute 'spatial' of 0")
    names = list(call.node.input[1:5])
    storage = call.builder.storage
    if call.attribute("training_mode", 0):
        x, scale, bias, *running = (call.tensor(i) for i in range(5))
        normalised = call.emit(functional.batch_norm, x, None, None, scale, bias, True, 0.0, epsilon)
        moved = call.emit(moved_statistics, x, *running, momentum)
        return normalised, call.item(moved, 0), call.item(moved, 1)
    if all(name in call.builder.model.constants for name in names):
        path = storage.batch_norm(names, epsilon=epsilon, momentum=1 - momentum)
        return call.builder.graph.call_module(path, (call.tensor(0),))
    scale, bias, mean, variance = (call.tensor(i) for i in range(1, 5))
    return call.emit(functional.batch_norm, call.tensor(0), mean, variance, scale, bias, False, 0.0, epsilon)


def moved_statistics(x: Tensor, mean: Tensor, variance: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """Running statistics that have seen one more batch, with the momentum of ONNX."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    share = 1 - momentum
    new_mean = momentum * mean + share * x.mean(axes)
    return new_mean, momentum * variance + share * x.var(axes, correction=0)


@emitter("LayerNormalization", 17)
def layer_normalization(call: Call) -> Any:
    """Over all axes from one on; further outputs are the statistics."""
    axis, epsilon = call.attribute("axis", -1), call.attribute("epsilon", 1e-5)
    operands = [call.tensor(i) for i in range(3)]
    if len(call.node.output) > 1:
        found = call.emit(layer_norm_with_statistics, *operands, axis=axis, epsilon=epsilon)
        return tuple(call.item(found, k) for k in range(3))
    return call.emit(layer_norm, *operands, axis=axis, epsilon=epsilon)


def layer_norm(x: Tensor, scale: Tensor, bias: Tensor | None, *, axis: int, epsilon: float) -> Tensor:
    """Layer normalisation; scale and bias may broadcast."""
    shape = x.shape[axis:] if axis else x.shape
    if scale.shape == shape and (bias is None or bias.shape == shape):
        return functional.layer_norm(x, shape, scale, bias, epsilon)
    y = functional.layer_norm(x, shape, None, None, epsilon) * scale
    return y if bias is None else y + bias


def layer_norm_with_statistics(
    x: Tensor, scale: Tensor, bias: Tensor | None, *, axis: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Layer normalisation, the mean, and one over the standard deviation."""
    axes = tuple(range(axis % x.dim(), x.dim()))
    mean = x.mean(axes, keepdim=True)
    inverse = torch.rsqrt(x.var(axes, correction=0, keepdim=True) + epsilon)
    return layer_norm(x, scale, bias, axis=axis, epsilon=epsilon), mean, inverse


@operator("InstanceNormalization", 6, 22)
def instance_normalization(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Every channel of every sample by itself."""
    return functional.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


@operator("GroupNormalization", 21)
def group_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """Groups of channels together; one scale a channel."""
    return functional.group_norm(x, num_groups, scale, bias, epsilon)


@operator("GroupNormalization", 18)
def group_normalization_18(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5
) -> Tensor:
    """Groups of channels together; one scale a group."""
    each = x.shape[1] // num_groups
    return functional.group_norm(
        x, num_groups, scale.repeat_interleave(each), bias.repeat_interleave(each), epsilon
    )


@operator("RMSNormalization", 23)
def rms_normalization(
    x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """By the root of the mean square over all axes from one on."""
    axes = tuple(range(axis % x.dim(), x.dim()))
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    return (wide * torch.rsqrt(wide.square().mean(axes, keepdim=True) + epsilon)).to(x.dtype) * scale


@operator("SimplifiedLayerNormalization")
def simplified_layer_normalization(
    x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """What ONNX Runtime calls it, without further results."""
    return rms_normalization(x, scale, axis=axis, epsilon=epsilon)


@operator("LpNormalization", 1, 22)
def lp_normalization(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """By the p-norm along an axis; zeros stay zero."""
    norm = torch.linalg.vector_norm(x, p, axis, keepdim=True)
    return x / torch.where(norm == 0, torch.ones_like(norm), norm)


@operator("LRN", 1, 13)
def local_response_normalization(
    x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Tensor:
    """By the squares of neighbouring channels."""
    before = (size - 1) // 2
    around = functional.pad(x.square().flatten(2).unsqueeze(1), (0, 0, before, size - 1 - before))
    total = functional.avg_pool2d(around, (size, 1), 1).squeeze(1).reshape(x.shape)
    return x / (bias + alpha * total) ** beta


@operator("MeanVarianceNormalization", 9, 13)
def mean_variance_normalization(x: Tensor, *, axes: tuple[int, ...] = (0, 2, 3)) -> Tensor:
    """By mean and deviation over some axes."""
    centred = x - x.mean(tuple(axes), keepdim=True)
    return centred / (centred.square().mean(tuple(axes), keepdim=True).sqrt() + 1e-9)
