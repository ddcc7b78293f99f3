"""The knapsack of one model: which counts its groups may have, what they are worth, and what they cost."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Floats, Indices
from onnxprune.plan.field import Field
from onnxprune.plan.knapsack import Knapsack, items, loss_items
from onnxprune.runtime.latency.designs import fast_counts
from onnxprune.runtime.latency.question import Question
from onnxprune.runtime.latency.table import LayerTable


def knapsack_for(field: Field, question: Question, table: LayerTable, floor: float) -> Knapsack:
    """The counts that the movable groups may have, priced by the table with the others as they are.

    Args:
        field: which groups move.
        question: scores, and whether they are losses.
        table: of layer times.
        floor: least share of its units that a group keeps.
    """
    places = field.movable.tolist()
    groups = [field.structure.groups[place] for place in places]
    choices = [
        _at_most(fast_counts(group, table.grid, floor=floor), int(field.settled[place]))
        for group, place in zip(groups, places, strict=True)
    ]

    def cost(plans: Indices) -> Floats:
        counts = np.repeat(field.settled[None, :], len(plans), axis=0)
        counts[:, places] = plans
        return table.seconds(counts)

    scores = [question.scores[group.name] for group in groups]
    if question.options.priced:
        return Knapsack(loss_items(choices, scores, cost))
    weights = np.sqrt([float(group.size * max(1, len(group.layers))) for group in groups])
    return Knapsack(items(choices, scores, weights, cost))


def _at_most(counts: Indices, most: int) -> Indices:
    """Counts that options allow; where none does, what they leave."""
    found = counts[counts <= most]
    return found if len(found) else np.array([most], dtype=np.int64)
