"""Rotary position embeddings."""

from __future__ import annotations

import torch
from torch import Tensor

from onnxprune.torch_graph.operators.attention import heads_of
from onnxprune.torch_graph.registry import operator


@operator("RotaryEmbedding", 23)
def rotary_embedding(
    x: Tensor,
    cosines: Tensor,
    sines: Tensor,
    positions: Tensor | None = None,
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> Tensor:
    """Pairs of features turned by an angle that grows with the position.

    Args:
        x: (batch, heads, length, size), or with heads and size in one last axis.
        cosines: (positions, size / 2), or one row for each element of the batch and the sequence.
        sines: as the cosines.
        positions: (batch, length), None where the tables are in order already.
        interleaved: whether the features of a pair are neighbours instead of halves apart.
        num_heads: of folded heads.
        rotary_embedding_dim: how many features turn, 0 for all.
    """
    folded = x.dim() == 3
    x = heads_of(x, num_heads or None)
    turned = rotary_embedding_dim or x.shape[-1]
    head, tail = x[..., :turned], x[..., turned:]
    tables = (cosines, sines) if positions is None else (cosines[positions], sines[positions])
    cos, sin = (table[..., : turned // 2].unsqueeze(1) for table in tables)
    one, two = (head[..., 0::2], head[..., 1::2]) if interleaved else head.chunk(2, -1)
    parts = [cos * one - sin * two, sin * one + cos * two]
    joined = torch.stack(parts, -1).flatten(-2) if interleaved else torch.cat(parts, -1)
    y = torch.cat([joined, tail], -1)
    return y.transpose(1, 2).flatten(2) if folded else y
