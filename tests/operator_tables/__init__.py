"""The table of operators, one line a case, by family."""

from __future__ import annotations

from operator_tables import (
    contraction,
    control,
    elementwise,
    movement,
    normalisation,
    quantised,
    recurrent,
    resampling,
    shapes,
    weights,
)

TABLES = (
    elementwise,
    contraction,
    normalisation,
    movement,
    resampling,
    shapes,
    weights,
    quantised,
    recurrent,
    control,
)

CASES = [one for table in TABLES for many in table.CASES for one in many]
