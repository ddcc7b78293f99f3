"""What a training-free repair is: it changes the weights that are left, never what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from onnxprune.calibration import Samples
from onnxprune.calibration.watched import Advance
from onnxprune.coupling import Coupling
from onnxprune.coupling.groups import Indices
from onnxprune.model import Model
from onnxprune.surgery import Cut


@dataclass(frozen=True)
class RepairOptions:
    """How to repair.

    Attributes:
        seed: of every random choice.
        threads: of ONNX Runtime; None leaves the choice to it.
        advance: told how many layers are done, and of how many.
    """

    seed: int = 0
    threads: int | None = None
    advance: Advance | None = None


@dataclass(frozen=True)
class Repaired:
    """A repaired model, with the names and shapes of the plain cut.

    Its weights and biases differ, and a layer may have got a bias that it had not.

    Attributes:
        model: the result.
        layers: what was done to each layer, in graph order: ``layer`` (name), and figures of the
            method's own that JSON can hold.
        figures: of the whole step, for the report; numbers that JSON can hold.
        notes: what the user should know, one line each.
    """

    model: Model
    layers: tuple[Mapping[str, Any], ...] = ()
    figures: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()


Run = Callable[[Coupling, Cut, Mapping[str, Indices], Samples | None, RepairOptions], Repaired]
"""(coupling of the source, its plain cut, group -> kept units, samples or None, options) -> repaired.

``cut`` is what ``surgery.apply(coupling, kept)`` made, denormals flushed. Values and nodes of the cut
model keep the names that they have in the source. Nothing that is passed in is changed."""


@dataclass(frozen=True)
class Method:
    """A way to repair.

    Attributes:
        run: does it.
        strength: ``auto`` takes the strongest method that the data allow; 0 is never taken by it.
        needs_samples: whether it cannot work without calibration data.
    """

    run: Run
    strength: int
    needs_samples: bool = False
