"""The table of operators, one line a case, by family."""

from __future__ import annotations

from operator_tables import (
    contraction,
    control,
    elementwise,
    movement,
    normalisation,
    recurrent,
    shapes,
    weights,
)

CASES = [
    one
    for table in (elementwise, contraction, normalisation, movement, shapes, weights, recurrent, control)
    for many in table.CASES
    for one in many
]
