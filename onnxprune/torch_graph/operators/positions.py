"""Rotary position embeddings."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.operators.attention import heads_of
from onnxprune.torch_graph.registry import emitter


class Rotation(NamedTuple):
    """The attributes of a RotaryEmbedding node.

    Attributes:
        interleaved: whether the features of a pair are neighbours instead of halves apart.
        num_heads: of heads that are folded into the last axis, 0 where they are not.
        rotary_embedding_dim: how many features turn, 0 for all.
    """

    interleaved: int = 0
    num_heads: int = 0
    rotary_embedding_dim: int = 0


@emitter("RotaryEmbedding", 23)
def rotary_embedding(call: Call) -> Any:
    """Pairs of features turned by an angle that grows with the position."""
    call.allow_attributes(frozenset(Rotation._fields))
    return call.emit(rotate, *(call.tensor(i) for i in range(4)), Rotation(**call.attributes))


def rotate(x: Tensor, cosines: Tensor, sines: Tensor, positions: Tensor | None, how: Rotation) -> Tensor:
    """Turn pairs of features.

    Args:
        x: (batch, heads, length, size), or with heads and size in one last axis.
        cosines: (positions, size / 2), or one row for each element of the batch and the sequence.
        sines: as the cosines.
        positions: (batch, length), None where the tables are in order already.
        how: the attributes.
    """
    folded = x.dim() == 3
    x = heads_of(x, how.num_heads or None)
    turned = how.rotary_embedding_dim or x.shape[-1]
    head, tail = x[..., :turned], x[..., turned:]
    tables = (cosines, sines) if positions is None else (cosines[positions], sines[positions])
    cos, sin = (table[..., : turned // 2].unsqueeze(1) for table in tables)
    one, two = (head[..., 0::2], head[..., 1::2]) if how.interleaved else head.chunk(2, -1)
    parts = [cos * one - sin * two, sin * one + cos * two]
    joined = torch.stack(parts, -1).flatten(-2) if how.interleaved else torch.cat(parts, -1)
    y = torch.cat([joined, tail], -1)
    return y.transpose(1, 2).flatten(2) if folded else y
