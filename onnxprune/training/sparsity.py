"""Penalties on whole units: training that prepares a model for losing some of them.

A unit is everything that goes with it: its filters in every layer of the group, their biases and scales, and
the weights of later layers that read it. What is penalised is the norm of all of these together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxprune.coupling.groups import Group, Indices, Role, Structure
from onnxprune.training.penalty import Penalty

if TYPE_CHECKING:
    from torch import Tensor

    from onnxprune.torch_graph.module import OnnxModule

STRENGTHS: Mapping[str, float] = MappingProxyType({"group_lasso": 1e-3, "growing": 1.0})
"""The methods, and the strength that each of them gets where none is given."""

GROWS = 0.75
"""Share of the training in which growing regularisation reaches its full strength; then it stays."""

_TINY = 1e-12
"""Added to squared norms: the root has no derivative at 0."""


@dataclass(frozen=True)
class _Part:
    """A constant axis that units run along: the constant, the axis, and the unit of each index, -1 none."""

    constant: str
    axis: int
    units: Indices
    role: Role


@dataclass(frozen=True, eq=False)
class UnitPenalty:
    """A penalty on the units of groups.

    Attributes:
        groups: name, number of units, the axes that they run along, and the weight of each unit, (units,).
        weigh: of the squared norms (units,) of a group, their weights and the progress from 0 to 1.
        account: for the report, and for what a checkpoint is known by.
    """

    groups: tuple[tuple[str, int, tuple[_Part, ...], Indices], ...]
    weigh: Callable[[Tensor, Tensor, float], Tensor]
    account: Mapping[str, Any]

    def __call__(self, module: OnnxModule, step: int, steps: int) -> Tensor:
        """The penalty, a scalar.

        Args:
            module: being trained.
            step: of this call, from 0.
            steps: of the whole training.
        """
        import torch

        norms = _norms_behind(module)
        total = next(module.parameters()).new_zeros(())
        for _, size, parts, weights in self.groups:
            squares = total.new_zeros(size)
            for part in parts:
                for values in _values(module, part, norms):
                    index = torch.as_tensor(part.units, device=values.device)
                    along = values.square().movedim(part.axis, 0).reshape(len(part.units), -1).sum(1)
                    own = index >= 0
                    squares = squares.index_add(0, index[own], along[own].to(squares.dtype))
            scale = torch.as_tensor(weights, dtype=squares.dtype, device=squares.device)
            total = total + self.weigh(squares, scale, step / max(steps, 1)).sum()
        return total


def make_penalty(
    kind: str,
    structure: Structure,
    kept: Mapping[str, Indices],
    sizes: Mapping[str, tuple[int, ...]],
    *,
    strength: float | None = None,
) -> Penalty:
    """The penalty of a method on the groups that a plan cuts.

    - ``group_lasso``: the norms of all units of these groups, each times the root of its number of weights
      (Yuan and Lin 2006; for the structures of networks Wen et al. 2016, arXiv 1608.03665). Which units
      go follows from the training.
    - ``growing``: half the squared norms of the units that the plan removes, with a factor that grows in
      equal steps to the full strength (GReg-1 of Wang et al. 2021, arXiv 2012.09243). The others take over.

    Args:
        kind: a key of ``STRENGTHS``.
        structure: groups of the model.
        kept: units that a plan keeps, by group; groups that keep all are not penalised.
        sizes: shape of every constant.
        strength: factor of the penalty, None for the usual one.
    """
    found = strength if strength is not None else STRENGTHS[kind]
    weights, weigh = _METHODS[kind]
    groups = []
    for group in structure.groups:
        if group.name in kept:
            parts = {(s.constant, s.axis): _Part(s.constant, s.axis, s.units, s.role) for s in group.slices}
            groups.append(
                (
                    group.name,
                    group.size,
                    tuple(parts.values()),
                    weights(group, kept[group.name], sizes) * found,
                )
            )
    units = sum(int((weight > 0).sum()) for *_, weight in groups)
    account = {"method": kind, "strength": found, "groups": len(groups), "units": units}
    return UnitPenalty(tuple(groups), weigh, MappingProxyType(account))


def _lasso_weights(group: Group, kept: Indices, sizes: Mapping[str, tuple[int, ...]]) -> Any:
    """The root of the number of weights of each unit, (units,)."""
    counts = np.zeros(group.size)
    for own in group.slices:
        each = int(np.prod(sizes[own.constant])) / sizes[own.constant][own.axis]
        units = own.units[own.units >= 0]
        counts += np.bincount(units, minlength=group.size) * each
    return np.sqrt(counts)


def _growing_weights(group: Group, kept: Indices, sizes: Mapping[str, tuple[int, ...]]) -> Any:
    """1 for units that go, 0 for those that stay, (units,)."""
    weights = np.ones(group.size)
    weights[kept] = 0.0
    return weights


def _lasso(squares: Tensor, weights: Tensor, progress: float) -> Tensor:
    return weights * (squares + _TINY).sqrt()


def _growing(squares: Tensor, weights: Tensor, progress: float) -> Tensor:
    return weights * (0.5 * min(1.0, progress / GROWS)) * squares


_METHODS: Mapping[str, tuple[Callable[..., Any], Callable[[Tensor, Tensor, float], Tensor]]] = (
    MappingProxyType({"group_lasso": (_lasso_weights, _lasso), "growing": (_growing_weights, _growing)})
)


def _norms_behind(module: OnnxModule) -> Mapping[str, str]:
    """By constant of a convolution's weight the path of the normalisation inserted behind it."""
    return {one.weight: one.path for one in module.inserted}


def _values(module: OnnxModule, part: _Part, norms: Mapping[str, str]) -> Iterator[Tensor]:
    """The parameters that a part stands for: its own, and the scale of a normalisation inserted behind it.

    A convolution behind which everything is normalised computes the same with smaller weights: its filter
    only goes when that scale does.
    """
    from torch import nn

    path = module.initializer_names.get(part.constant)
    values = None if path is None else attrgetter(path)(module)
    if not isinstance(values, nn.Parameter) or values.dim() <= part.axis:
        return
    if values.shape[part.axis] != len(part.units):
        return
    yield values
    if part.role is Role.FILTER and part.constant in norms:
        yield module.get_submodule(norms[part.constant]).weight.reshape(
            [-1 if k == part.axis else 1 for k in range(values.dim())]
        )
