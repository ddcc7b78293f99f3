"""Attention as one operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.operators.shapes import DTYPES
from onnxprune.torch_graph.registry import emitter


class Settings(NamedTuple):
    """The attributes of an Attention node; the defaults are those of the standard.

    Attributes:
        is_causal: whether a query only sees keys that are not behind it.
        kv_num_heads: number of heads of keys, where they are folded into the last axis.
        q_num_heads: the same of queries.
        qk_matmul_output_mode: which scores to return: products, capped, masked, or after the softmax.
        scale: of the products; None: one over the root of the size of a head.
        softcap: bound of the scores, 0 for none.
        softmax_precision: ONNX element type in which the softmax is computed.
        left_window_size: how many keys before its own a query sees, -1 for all.
        right_window_size: how many behind.
    """

    is_causal: int = 0
    kv_num_heads: int | None = None
    q_num_heads: int | None = None
    qk_matmul_output_mode: int = 0
    scale: float | None = None
    softcap: float = 0.0
    softmax_precision: int | None = None
    left_window_size: int = -1
    right_window_size: int = -1

    @property
    def is_plain(self) -> bool:
        """Whether torch has one function for it."""
        windows = max(self.left_window_size, self.right_window_size)
        return not self.softcap and self.softmax_precision is None and windows < 0


@emitter("Attention", 23, 24, 25)
def attention(call: Call) -> Any:
    """Scaled products of queries and keys choose among values."""
    call.allow_attributes(frozenset(Settings._fields))
    settings = Settings(**call.attributes)
    operands = [call.tensor(i) for i in range(7)]
    alone = not any(call.node.output[1:]) and not any(call.has(i) for i in (4, 5, 6))
    if alone and settings.is_plain and not (settings.is_causal and call.has(3)):
        return call.emit(attend, *operands[:4], settings)
    found = call.emit(attend_step_by_step, operands, settings)
    return tuple(call.item(found, k) for k in range(4))


def heads_of(x: Tensor, count: int | None) -> Tensor:
    """Heads on an axis of their own: (batch, length, heads * size) becomes (batch, heads, length, size)."""
    return x if x.dim() == 4 or count is None else x.unflatten(-1, (count, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, settings: Settings) -> Tensor:
    """Attention by the function of torch.

    Args:
        q: queries, (batch, heads, length, size), or with heads and size in one last axis.
        k: keys; several query heads may share one.
        v: values.
        mask: added to the scores, or true where a key may be seen.
        settings: of the node.
    """
    folded = q.dim() == 3
    q = heads_of(q, settings.q_num_heads)
    k, v = (heads_of(x, settings.kv_num_heads) for x in (k, v))
    if mask is not None:
        mask = _as_long_as(mask, k, False if mask.dtype == torch.bool else -torch.inf)
    y = functional.scaled_dot_product_attention(
        q, k, v, mask, is_causal=bool(settings.is_causal), scale=settings.scale,
        enable_gqa=q.shape[1] != k.shape[1],
    )  # fmt: skip
    return y.transpose(1, 2).flatten(2) if folded else y


def attend_step_by_step(operands: Sequence[Any], settings: Settings) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Attention with all results of the operator: values, keys and values of the cache, scores.

    Args:
        operands: queries, keys, values, mask, keys and values of earlier steps, and how many keys of each
            sample count; as ONNX wants them, None for absent ones.
        settings: of the node.
    """
    q, k, v, mask, past_key, past_value, lengths = operands
    folded = q.dim() == 3
    q = heads_of(q, settings.q_num_heads)
    k, v = (heads_of(x, settings.kv_num_heads) for x in (k, v))
    past: Any = 0
    if past_key is not None and past_value is not None:
        k, v, past = torch.cat([past_key, k], 2), torch.cat([past_value, v], 2), past_key.shape[2]
    elif lengths is not None:
        past = (lengths - q.shape[2]).reshape(-1, 1, 1, 1)
    seen = bias_of(q, k, mask, lengths, past, settings)
    share = q.shape[1] // k.shape[1]
    keys, values = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    shares, scores = _scores(q, keys, seen, settings)
    y = shares @ values
    return (y.transpose(1, 2).flatten(2) if folded else y), k, v, scores


def _scores(q: Tensor, keys: Tensor, seen: Tensor, settings: Settings) -> tuple[Tensor, Tensor]:
    """The shares of the values, and the scores that the node returns."""
    factor = (q.shape[-1] ** -0.5 if settings.scale is None else settings.scale) ** 0.5
    products = (q * factor) @ (keys * factor).transpose(-1, -2)
    capped = settings.softcap * torch.tanh(products / settings.softcap) if settings.softcap else products
    masked = capped + seen
    precision = settings.softmax_precision
    shares = torch.softmax(masked if precision is None else masked.to(DTYPES[precision]), -1)
    nothing_seen = (seen == -torch.inf).all(-1, keepdim=True)
    shares = shares.masked_fill(nothing_seen, 0.0).to(q.dtype)
    return shares, (capped, capped, masked, shares)[settings.qk_matmul_output_mode]


def bias_of(
    q: Tensor, k: Tensor, mask: Tensor | None, lengths: Tensor | None, past: Any, settings: Settings
) -> Tensor:
    """What is added to the scores: minus infinity where a key is not seen.

    Args:
        q: queries, (batch, heads, length, size).
        k: keys, those of earlier steps included.
        mask: of the node.
        lengths: how many keys of each sample count.
        past: how many keys come before the first query, one number or one a sample, (batch, 1, 1, 1).
        settings: of the node.
    """
    key = torch.arange(k.shape[2], device=q.device)
    query = torch.arange(q.shape[2], device=q.device).unsqueeze(1) + past
    hidden = torch.zeros((q.shape[2], k.shape[2]), dtype=torch.bool, device=q.device)
    if settings.is_causal:
        hidden = hidden | (key > query)
    if settings.left_window_size >= 0:
        hidden = hidden | (query - key > settings.left_window_size)
    if settings.right_window_size >= 0:
        hidden = hidden | (key - query > settings.right_window_size)
    if lengths is not None:
        hidden = hidden | (key >= lengths.reshape(-1, 1, 1, 1))
    if mask is not None and mask.dtype == torch.bool:
        hidden = hidden | ~_as_long_as(mask, k, False)
    bias = torch.zeros_like(hidden, dtype=q.dtype).masked_fill(hidden, -torch.inf)
    if mask is None or mask.dtype == torch.bool:
        return bias
    return bias + _as_long_as(mask, k, -torch.inf)


def _as_long_as(mask: Tensor, keys: Tensor, value: float | bool) -> Tensor:
    short = keys.shape[2] - mask.shape[-1]
    return functional.pad(mask, (0, short), value=value) if short else mask
