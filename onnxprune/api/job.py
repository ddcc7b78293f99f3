"""Settings checked before a model is opened, in the types that the floors below work with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onnxprune.api.arguments import as_criterion
from onnxprune.api.settings import TARGETS, Goal, Settings
from onnxprune.api.training_settings import check_training
from onnxprune.calibration.evidence import GIVE_DATA
from onnxprune.calibration.preprocess import parse_preprocess
from onnxprune.criteria import Criterion
from onnxprune.criteria.registry import choose
from onnxprune.errors import UsageError
from onnxprune.plan import BudgetTarget, CountsTarget, PlanOptions, RatioTarget, Target, parse_align, scope
from onnxprune.plan.drop import DropTarget

DEFAULT_SCOPE = "local"

SCORINGS = {"independent": False, "greedy": True}
"""Whether each group is scored without the channels that earlier groups have lost."""


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
    for name, low in (("seed", 0), ("threads", 1), ("samples", 1), ("holdout", 0), ("steps", 1)):
        value = getattr(settings, name)
        if value is not None and value < low:
            raise UsageError(f"--{name} {value} is too small.", hint=f"Give {low} or more.")
    _check_data(settings)
    check_training(settings)
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


def _check_data(settings: Settings) -> None:
    """See that nothing is said about samples that are not there, and nothing that is not understood.

    Raises:
        UsageError: it is.
    """
    parse_preprocess(settings.preprocess)
    trains_alone = settings.data is None and settings.train_data is not None
    for name in ("preprocess", "samples", "metric", "output_name", "holdout"):
        if trains_alone and name == "preprocess":
            continue
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
