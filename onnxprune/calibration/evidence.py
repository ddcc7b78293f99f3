"""What was measured on data, by group and statistic: what criteria read beside the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from onnxprune.calibration.statistics import Statistic
from onnxprune.coupling.groups import Floats, Group
from onnxprune.errors import UsageError

Look = Callable[[str], tuple[Floats, ...]]
"""Group name -> one array a value that carries its units, units along the last axis."""

NO_DATA = "measures the model on data, and there is none."
GIVE_DATA = (
    "Give calibration samples: --data samples.npz, --data folder/of/images or --data package.module:function."
)


@dataclass(frozen=True)
class Evidence:
    """Statistics of every group.

    Attributes:
        looks: gives the arrays of a group, by statistic.
        layers: names of the layers that read each of these values with weights, by group.
        samples: number of samples that were measured.
        description: which samples these are, for the report.
    """

    looks: Mapping[Statistic, Look] = field(default_factory=dict)
    layers: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    samples: int = 0
    description: str = ""

    def of(self, group: Group, statistic: Statistic, *, layer: str = "") -> tuple[Floats, ...]:
        """The arrays of one group, one a value that carries its units.

        Args:
            group: the group.
            statistic: what was measured.
            layer: only the values that the layer of this name reads with weights.

        Raises:
            UsageError: the statistic was not gathered.
        """
        if not self.looks:
            raise UsageError(f"The criterion {NO_DATA}", hint=GIVE_DATA)
        if statistic not in self.looks:
            raise UsageError(
                f"the statistic {statistic} was not gathered.",
                hint="Name it where the criterion is registered: @register(name, needs=frozenset({...})).",
            )
        found = self.looks[statistic](group.name)
        if not layer:
            return found
        readers = self.layers[group.name]
        return tuple(values for values, own in zip(found, readers, strict=True) if layer in own)
