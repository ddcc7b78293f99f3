"""Everything that decides the result of a run, checked before a model is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxprune.coupling.partners import Granularity
from onnxprune.criteria import Criterion, Score, criterion
from onnxprune.criteria.registry import choose
from onnxprune.errors import UsageError
from onnxprune.plan import (
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

TARGETS: Mapping[str, Callable[[str | float], Target]] = {
    "ratio": parse_ratio,
    "macs": parse_macs,
    "params": parse_params,
    "size": parse_size,
}
"""What can be asked for, and how it is read; exactly one is given."""

SCORINGS = {"independent": False, "greedy": True}
"""Whether each group is scored without the channels that earlier groups have lost."""

GRANULARITIES: dict[str, Granularity] = {"inner": "inner", "outer": "outer"}
"""Which factor of an axis goes: dimensions within heads and channels within groups, or whole ones."""

PLANNING = ("scope", "align", "include", "exclude", "layer_ratios", "scoring")
"""Settings beside the targets that say what is removed."""

LayerRatios = Mapping[str, float] | Iterable[tuple[str, float]]


@dataclass(frozen=True)
class Settings:
    """How to prune; ``prune`` describes each of them.

    Attributes:
        strict: untouched layers, and a result that could not be verified, count as missed bounds.
    """

    ratio: str | float | None = None
    macs: str | float | None = None
    params: str | float | None = None
    size: str | float | None = None
    criterion: str | Score | Criterion = "l1"
    scoring: str = "independent"
    scope: str = "local"
    align: str | int = "auto"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    layer_ratios: tuple[tuple[str, float], ...] = ()
    granularity: str = "inner"
    verify: bool = True
    strict: bool = False
    seed: int = 0
    threads: int | None = None

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
        return any(getattr(self, name) != getattr(plain, name) for name in (*TARGETS, *PLANNING))


@dataclass(frozen=True)
class Job:
    """Settings in the types that the floors below work with.

    Attributes:
        settings: as given.
        target: what to reach.
        criterion: how units are scored.
        grid: counts of channels are multiples of it, 1 = off.
    """

    settings: Settings
    target: Target
    criterion: Criterion
    grid: int

    @property
    def only_cleans(self) -> bool:
        """Whether nothing is to go but what the outputs do not depend on."""
        return isinstance(self.target, RatioTarget) and not self.target.ratio

    @property
    def across_groups(self) -> bool:
        """Whether units of different groups compete."""
        return scope(self.settings.scope).across_groups

    @property
    def greedy(self) -> bool:
        """Whether each group is scored without the channels that earlier groups have lost."""
        return SCORINGS[self.settings.scoring]

    def plan_options(self, overhead_bytes: float) -> PlanOptions:
        """What ``make_plan`` is asked for."""
        own = self.settings
        return PlanOptions(
            target=self.target,
            scope=own.scope,
            align=self.grid,
            include=own.include,
            exclude=own.exclude,
            layer_ratios=own.layer_ratios,
            greedy=self.greedy,
            overhead_bytes=overhead_bytes,
        )

    def to_dict(self) -> dict[str, Any]:
        """The settings as the report states them, defaults and what they came to included."""
        from onnxprune import __version__

        own = self.settings
        return {
            "version": __version__,
            "target": _describe_target(self.target),
            "criterion": _describe(self.criterion),
            "scoring": own.scoring,
            "scope": own.scope,
            "align": own.align,
            "grid": self.grid,
            "include": list(own.include),
            "exclude": list(own.exclude),
            "layer_ratios": [list(pair) for pair in own.layer_ratios],
            "granularity": own.granularity,
            "verify": own.verify,
            "strict": own.strict,
            "seed": own.seed,
            "threads": own.threads,
        }


def open_job(settings: Settings) -> Job:
    """Checks settings and resolves names.

    Raises:
        UsageError: no target or several, an unknown name, a number out of range.
    """
    choose("scoring", settings.scoring, SCORINGS)
    scope(settings.scope)
    for name, low in (("seed", 0), ("threads", 1)):
        value = getattr(settings, name)
        if value is not None and value < low:
            raise UsageError(f"--{name} {value} is too small.", hint=f"Give {low} or more.")
    return Job(settings, _target(settings), as_criterion(settings.criterion), parse_align(settings.align))


def as_criterion(given: str | Score | Criterion) -> Criterion:
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


def _target(settings: Settings) -> Target:
    given = {name: value for name in TARGETS if (value := getattr(settings, name)) is not None}
    if not given and settings.layer_ratios:
        raise UsageError(
            "--layer-ratio sets single layers, but what happens to the others is missing.",
            hint="Add --ratio 0 to leave them alone, or another target for them.",
        )
    if not given:
        raise UsageError(
            "How much to prune is missing.",
            hint="The usual start is --ratio 0.4: 40 % fewer filters in every prunable layer. "
            "Budgets are --macs 0.5x, --params 0.5x and --size 10MB.",
        )
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(f'--{name}' for name in given)} are two targets, one run has one.",
            hint="Keep one of them; --layer-ratio sets single layers beside any of them.",
        )
    name, value = given.popitem()
    return TARGETS[name](value)


def _describe_target(target: Target) -> dict[str, Any]:
    if isinstance(target, RatioTarget):
        return {"ratio": target.ratio}
    option, amount = str(target).removeprefix("--").split(" ", 1)
    return {option: amount}


def _describe(chosen: Criterion) -> dict[str, Any]:
    return {
        "name": chosen.name,
        "reduction": chosen.reduction,
        "normalizer": chosen.normalizer,
        "threshold": chosen.threshold,
        "options": dict(chosen.options),
    }
