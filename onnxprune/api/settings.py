"""Everything that decides the result of a run, as it was given."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from onnxprune.api.arguments import Data, Spec, as_criterion
from onnxprune.api.sources import Source
from onnxprune.calibration.preprocess import Given
from onnxprune.coupling.partners import Granularity
from onnxprune.criteria.registry import choose
from onnxprune.plan import Target, parse_macs, parse_params, parse_ratio, parse_size
from onnxprune.plan.drop import DropTarget, parse_drop
from onnxprune.plan.latency import LatencyTarget, parse_latency, parse_speedup
from onnxprune.training.settings import TrainSettings

Goal: TypeAlias = Target | LatencyTarget | DropTarget
"""What may be asked for: a plan's target, or a latency or a loss, for which counts are searched."""

TARGETS: Mapping[str, Callable[[str | float], Goal]] = {
    "ratio": parse_ratio,
    "macs": parse_macs,
    "params": parse_params,
    "size": parse_size,
    "latency": parse_latency,
    "speedup": parse_speedup,
    "max_drop": parse_drop,
}
"""What can be asked for, and how it is read; exactly one is given."""

GRANULARITIES: dict[str, Granularity] = {"inner": "inner", "outer": "outer"}
"""Which factor of an axis goes: dimensions within heads and channels within groups, or whole ones."""

PLANNING = ("scope", "align", "include", "exclude", "layer_ratios", "scoring")
"""Settings beside the targets that say what is removed."""


@dataclass(frozen=True)
class Settings:
    """How to prune; ``prune`` describes each of them.

    Attributes:
        then: criteria that look at what those before them have left.
        strict: untouched layers, and a result that could not be verified, count as missed bounds.
        repair: how the weights that are left make up for those that went; None: ``auto`` where there are
            data, else ``none``.
        data: samples to measure the model on, or where they are.
        preprocess: what is done to stored samples.
        samples: how many are taken; None for the usual number.
        metric: that ``max_drop`` bounds; None for accuracy, or agreement where there are no labels.
        output_name: output with the scores of the classes, None for the first that can be one.
        holdout: samples that nothing is chosen by, and that accuracy is measured on; None for the usual
            number.
        cache: folder of figures that ``max_drop`` or ``latency`` has measured before; None keeps none.
        bench: whether the result is measured against the source, which it must not be slower than.
        quantize: kind of the quantised copy that is made of the result, None for none.
        ranges: how it reads the ranges of activations off the samples.
        training: behind every step, None for none.
        train_data: samples to train on; None for all of ``data`` but those held back.
        validation_data: samples that the best epoch is chosen by; None for a share of the training data.
        teacher: model whose outputs training learns; None for the source.
        steps: how many times to cut, repair and train; None for once.
        step_schedule: how the counts of units go to the final ones.
        last_epochs: of the training behind the last step; None for as many as the others.
        sparsity: how to train before the cut, so that units can be spared; None for not at all.
        sparsity_strength: of its penalty; None for the usual one.
        sparsity_epochs: of it; None for the usual number.
        run_folder: where a run that is stopped can be gone on with; None keeps nothing.
        restart: whether what is there is thrown away.
        tensorboard: whether metrics of the training are written for TensorBoard too.
    """

    ratio: str | float | None = None
    macs: str | float | None = None
    params: str | float | None = None
    size: str | float | None = None
    latency: str | float | None = None
    speedup: str | float | None = None
    criterion: Spec | None = None
    then: tuple[Spec, ...] = ()
    scoring: str = "independent"
    scope: str | None = None
    align: str | int = "auto"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    layer_ratios: tuple[tuple[str, float], ...] = ()
    granularity: str = "inner"
    verify: bool = True
    strict: bool = False
    seed: int = 0
    threads: int | None = None
    repair: str | None = None
    data: Data | None = None
    preprocess: Given | None = None
    samples: int | None = None
    max_drop: str | float | None = None
    metric: str | None = None
    output_name: str | None = None
    holdout: int | None = None
    cache: str | os.PathLike[str] | None = None
    bench: bool = False
    quantize: str | None = None
    ranges: str = "minmax"
    training: TrainSettings | None = None
    train_data: Data | None = None
    validation_data: Data | None = None
    teacher: Source | None = None
    steps: int | None = None
    step_schedule: str = "linear"
    last_epochs: float | None = None
    sparsity: str | None = None
    sparsity_strength: float | None = None
    sparsity_epochs: float | None = None
    run_folder: str | os.PathLike[str] | None = None
    restart: bool = False
    tensorboard: bool = False

    @property
    def spec(self) -> Spec:
        """The first criterion; where none is given the best one that the data allow."""
        if self.criterion is not None:
            return self.criterion
        return "l1" if self.data is None else "obs"

    @property
    def factor(self) -> Granularity:
        """Which factor of an axis is offered for pruning.

        Raises:
            UsageError: there is no such granularity.
        """
        return GRANULARITIES[choose("granularity", self.granularity, GRANULARITIES)]

    @property
    def asks_for_plan(self) -> bool:
        """Whether anything was set that only a plan can heed."""
        plain = Settings()
        set_apart = any(getattr(self, name) != getattr(plain, name) for name in (*TARGETS, *PLANNING))
        return set_apart or bool(self.then) or as_criterion(self.spec).decides
