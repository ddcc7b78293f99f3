"""Everything that decides the result of a run, checked before a model is opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from onnxprune.calibration.evidence import GIVE_DATA
from onnxprune.calibration.preprocess import Given, parse_preprocess
from onnxprune.coupling.partners import Granularity
from onnxprune.criteria import Criterion, Score, criterion
from onnxprune.criteria.registry import choose
from onnxprune.errors import UsageError
from onnxprune.plan import (
    BudgetTarget,
    CountsTarget,
    PlanOptions,
    RatioTarget,
    Target,
    parse_align,
    parse_macs,
    parse_params,
    parse_ratio,
    parse_size,
    scope,
)
from onnxprune.plan.drop import DropTarget, parse_drop
from onnxprune.plan.latency import LatencyTarget, parse_latency, parse_speedup

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

DEFAULT_SCOPE = "local"

SCORINGS = {"independent": False, "greedy": True}
"""Whether each group is scored without the channels that earlier groups have lost."""

GRANULARITIES: dict[str, Granularity] = {"inner": "inner", "outer": "outer"}
"""Which factor of an axis goes: dimensions within heads and channels within groups, or whole ones."""

PLANNING = ("scope", "align", "include", "exclude", "layer_ratios", "scoring")
"""Settings beside the targets that say what is removed."""

Spec = str | Score | Criterion
"""A criterion as it may be given."""

Data: TypeAlias = Any
"""What ``open_samples`` takes: where samples are, arrays, or ``Samples``."""

LayerRatios = Mapping[str, float] | Iterable[tuple[str, float]]


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


@dataclass(frozen=True)
class Job:
    """Settings in the types that the floors below work with.

    Attributes:
        settings: as given.
        target: what to reach.
        criterion: how units are scored; the first where there are several.
        grid: counts of channels are multiples of it, 1 = off.
        then: criteria that look at what those before them have left.
    """

    settings: Settings
    target: Goal
    criterion: Criterion
    grid: int
    then: tuple[Criterion, ...] = ()

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """All criteria, in the order in which they cut."""
        return (self.criterion, *self.then)

    @property
    def by_rule(self) -> bool:
        """Whether the criteria alone say how much goes, by their own rules where they have no threshold."""
        return isinstance(self.target, CountsTarget) and not self.target.counts

    @property
    def repair(self) -> str:
        """How to repair, ``auto`` where there are samples and nothing else was said."""
        own = self.settings
        return own.repair or ("none" if own.data is None else "auto")

    @property
    def only_cleans(self) -> bool:
        """Whether nothing is to go but what the outputs do not depend on."""
        bounded = any(stage.bound is not None for stage in self.criteria)
        return isinstance(self.target, RatioTarget) and not self.target.ratio and not bounded

    @property
    def scope(self) -> str:
        """Which units compete: where losses are weighed against a budget, those of the whole model."""
        weighed = isinstance(self.target, BudgetTarget) and all(stage.losses for stage in self.criteria)
        return self.settings.scope or ("global" if weighed else DEFAULT_SCOPE)

    @property
    def across_groups(self) -> bool:
        """Whether units of different groups compete."""
        return scope(self.scope).across_groups

    @property
    def greedy(self) -> bool:
        """Whether each group is scored without the channels that earlier groups have lost."""
        return SCORINGS[self.settings.scoring]

    def plan_options(self, overhead_bytes: float) -> PlanOptions:
        """What ``make_plan`` is asked for; for a latency, counts that are yet to be found."""
        own = self.settings
        return PlanOptions(
            target=self.target if isinstance(self.target, Target) else CountsTarget(),
            scope=self.scope,
            align=self.grid,
            include=own.include,
            exclude=own.exclude,
            layer_ratios=own.layer_ratios,
            greedy=self.greedy,
            overhead_bytes=overhead_bytes,
            priced=all(stage.losses for stage in self.criteria),
        )

    def to_dict(self) -> dict[str, Any]:
        """The settings as the report states them, defaults and what they came to included."""
        from onnxprune.api.description import describe  # which reads the job's own types

        return describe(self)


def open_job(settings: Settings) -> Job:
    """Checks settings and resolves names.

    Raises:
        UsageError: no target or several, an unknown name, a number out of range.
    """
    choose("scoring", settings.scoring, SCORINGS)
    scope(settings.scope or DEFAULT_SCOPE)
    for name, low in (("seed", 0), ("threads", 1), ("samples", 1), ("holdout", 0)):
        value = getattr(settings, name)
        if value is not None and value < low:
            raise UsageError(f"--{name} {value} is too small.", hint=f"Give {low} or more.")
    _check_data(settings)
    if settings.quantize is not None:
        from onnxprune.runtime.quantization import KINDS, RANGES

        choose("quantization", settings.quantize, KINDS)
        choose("ranges", settings.ranges, dict.fromkeys(RANGES))
    if settings.repair not in (None, "none", "auto"):
        from onnxprune.repair.methods import check_method  # brings ONNX Runtime with it

        check_method(str(settings.repair), samples=settings.data is not None)
    first, *then = (as_criterion(given) for given in (settings.spec, *settings.then))
    if SCORINGS[settings.scoring] and (then or first.bound is not None):
        raise UsageError(
            "--scoring greedy goes with one criterion and no threshold.",
            hint="Leave --then and the threshold out, or use --scoring independent.",
        )
    target = _target(settings, (first, *then))
    _check_drop(settings, target)
    return Job(settings, target, first, parse_align(settings.align), tuple(then))


def stages(
    criterion: Spec | Sequence[Spec] | None, then: Spec | Sequence[Spec]
) -> tuple[Spec | None, tuple[Spec, ...]]:
    """The first criterion, None for the usual one, and those that follow it.

    Raises:
        UsageError: there is none.
    """
    if criterion is None:
        return None, _listed(then)
    found = (*_listed(criterion), *_listed(then))
    if not found:
        raise UsageError("No criterion is given.", hint="Leave the argument out for the usual one.")
    return found[0], found[1:]


def _listed(given: Spec | Sequence[Spec]) -> tuple[Spec, ...]:
    return tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else (given,)


def as_criterion(given: Spec) -> Criterion:
    """A criterion from its spelling, or from a function of the user's own."""
    if isinstance(given, Criterion):
        return given
    if isinstance(given, str):
        return criterion(given)
    return Criterion(getattr(given, "__name__", "function"), given)


def pairs(layer_ratios: LayerRatios) -> tuple[tuple[str, float], ...]:
    """Ratios by glob as ordered pairs; the last match counts."""
    items = layer_ratios.items() if isinstance(layer_ratios, Mapping) else layer_ratios
    return tuple((glob, float(ratio)) for glob, ratio in items)


def globs(given: str | Iterable[str]) -> tuple[str, ...]:
    """One glob or several as a tuple."""
    return (given,) if isinstance(given, str) else tuple(given)


def output_path(source: Path | None) -> Path | None:
    """Where the pruned model goes by default: beside the source."""
    return None if source is None else source.with_name(f"{source.stem}.pruned.onnx")


def _check_data(settings: Settings) -> None:
    """See that nothing is said about samples that are not there, and nothing that is not understood.

    Raises:
        UsageError: it is.
    """
    parse_preprocess(settings.preprocess)
    for name in ("preprocess", "samples", "metric", "output_name", "holdout"):
        if settings.data is None and getattr(settings, name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} is about samples, and there are none.",
                hint=GIVE_DATA,
            )


def _check_drop(settings: Settings, target: Goal) -> None:
    """See that a bound on the loss has something to be measured on.

    Raises:
        UsageError: it has not, or there is no such metric.
    """
    if settings.metric is not None:
        from onnxprune.evaluation import find_metrics  # brings ONNX Runtime with it

        find_metrics([settings.metric])
    if isinstance(target, DropTarget) and settings.data is None:
        raise UsageError(
            f"{target} needs samples to measure the loss on, and there are none.", hint=GIVE_DATA
        )


def _target(settings: Settings, criteria: Sequence[Criterion]) -> Goal:
    given = {name: value for name in TARGETS if (value := getattr(settings, name)) is not None}
    if not given and all(stage.decides for stage in criteria):
        return CountsTarget(reason="none of its units is one that the criterion lets go")
    if not given and settings.layer_ratios:
        raise UsageError(
            "--layer-ratio sets single layers, but what happens to the others is missing.",
            hint="Add --ratio 0 to leave them alone, or another target for them.",
        )
    if not given:
        raise UsageError(
            "How much to prune is missing.",
            hint="The usual start is --ratio 0.4: 40 % fewer filters in every prunable layer. "
            "Budgets are --macs 0.5x, --params 0.5x, --size 10MB and --latency 0.5x; or give every "
            "criterion a threshold: --criterion correlation:0.9.",
        )
    if len(given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"{names} are two targets, one run has one.",
            hint="Keep one of them; --layer-ratio sets single layers beside any of them.",
        )
    name, value = given.popitem()
    return TARGETS[name](value)
