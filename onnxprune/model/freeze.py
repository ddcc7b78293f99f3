"""Sizes for symbolic dims, so that a graph can be traced as if it were static."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from onnxprune.model.model import Model

BATCH_SIZES = (17, 19)
"""Primes that no usual channel, head or token count shares a factor with."""

FREE_SIZES = (
    ((224, 288, 352, 416, 160, 480), (256, 320, 384, 448, 192, 512)),
    ((29, 31, 37, 41, 43, 47), (53, 59, 61, 67, 71, 73)),
)
"""Sizes for the other symbols: multiples of 32 survive the strides of convolutional networks and
meet again at skip connections; primes suit sequences. Each entry holds two choices, because a dim
that differs between two traces is a dynamic one."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Freeze:
    """One choice of sizes.

    Attributes:
        inputs: shape of every graph input that is not an initializer.
        batch: the size that stands for a symbolic leading axis, 1 if there is none.
        symbols: the size chosen for each named dim.
    """

    inputs: Mapping[str, Shape | None]
    batch: int
    symbols: Mapping[str, int]

    @property
    def symbolic(self) -> bool:
        """Whether any dim had to be chosen."""
        return bool(self.symbols)


def freezes(model: Model) -> Iterator[tuple[Freeze, Freeze]]:
    """Pairs of choices to try in turn, most plausible first; one pair where all is static."""
    for first, second in FREE_SIZES:
        pair = (_freeze(model, BATCH_SIZES[0], first), _freeze(model, BATCH_SIZES[1], second))
        yield pair
        if not pair[0].symbolic:
            return


def _freeze(model: Model, batch: int, sizes: tuple[int, ...]) -> Freeze:
    chosen: dict[str, int] = {}
    inputs: dict[str, Shape | None] = {}
    free = 0
    has_batch = False
    for value in model.proto.graph.input:
        if value.name in model.constants:
            continue
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
            inputs[value.name] = None
            continue
        shape = []
        for axis, dim in enumerate(tensor.shape.dim):
            if dim.HasField("dim_value") and dim.dim_value > 0:
                shape.append(dim.dim_value)
                continue
            name = dim.dim_param or f"{value.name}.{axis}"
            if name not in chosen:
                leading = axis == 0 and len(tensor.shape.dim) > 1
                has_batch |= leading
                chosen[name] = batch if leading else sizes[free % len(sizes)]
                free += not leading
            shape.append(chosen[name])
        inputs[value.name] = tuple(shape)
    return Freeze(inputs, batch if has_batch else 1, chosen)
