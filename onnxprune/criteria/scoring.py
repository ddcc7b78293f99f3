"""A criterion as the user asked for it, and the scores that it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from types import MappingProxyType

import numpy as np

from onnxprune.calibration.evidence import Evidence
from onnxprune.coupling.groups import Floats, Group, Indices, Structure
from onnxprune.criteria.normalizers import NORMALIZERS, normalize
from onnxprune.criteria.reductions import REDUCTIONS
from onnxprune.criteria.registry import NOTHING, Entry, Needs, Option, Rule, Score, choose, find
from onnxprune.criteria.weights import Mask, VisibleWeights, Weights, finite
from onnxprune.errors import UsageError
from onnxprune.model.constants import Constants

Rescore = Callable[[Group, Mapping[str, Indices]], Floats]
"""Scores a group anew, (units,), given the kept units of the groups that were decided before it."""

YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True)
class Criterion:
    """How units are scored.

    Attributes:
        name: as the user spelled it, without options.
        score: gives (units,) for a group; its options are bound already.
        reduction: how the filter slices of a group make one score, a key of ``REDUCTIONS``.
        normalizer: how scores are scaled within a group, a key of ``NORMALIZERS``; None leaves
            it to the scope: the mean where groups are compared, none where they are not.
        threshold: the number after the colon, for methods that have one.
        options: of the score function, for the report.
        needs: what it has to be given measured on data.
        bound: units that score lower go by themselves, whatever the target; None without a threshold.
        rule: which units go by themselves where there is neither a threshold nor a target.
        losses: whether scores are losses on one scale, across groups too.
    """

    name: str
    score: Score
    reduction: str = "mean"
    normalizer: str | None = None
    threshold: float | None = None
    options: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))
    needs: Needs = NOTHING
    bound: float | None = None
    rule: Rule | None = None
    losses: bool = False

    @property
    def decides(self) -> bool:
        """Whether it says by itself how many units go."""
        return self.bound is not None or self.rule is not None

    def __str__(self) -> str:
        return self.name if self.threshold is None else f"{self.name}:{self.threshold:g}"


class Scores(dict[str, Floats]):
    """Scores (units,) by group name, higher = more important.

    Args:
        scores: by group name.
        notes: what the user should know about them, one line each.
        surplus: (units,) by group name, those that go whatever the target: below the threshold, or by
            the criterion's own rule.
    """

    def __init__(
        self,
        scores: Mapping[str, Floats],
        *,
        notes: Iterable[str] = (),
        surplus: Mapping[str, Mask] = MappingProxyType({}),
    ) -> None:
        super().__init__(scores)
        self.notes = tuple(notes)
        self.surplus = surplus


def criterion(spec: str, **options: Option) -> Criterion:
    """The criterion that a text describes: ``NAME[:threshold][,option=value...]``.

    NAME is a registered name or ``package.module:function``. Every criterion takes the options
    ``reduction`` and ``normalizer``; others are its own.

    Args:
        spec: for example ``l1``, ``l2,reduction=max``, ``entropy:0.3``.
        options: the same as in the text, and stronger.

    Raises:
        UsageError: unknown name or option, or a value that does not fit.
    """
    head, *pairs = (part.strip() for part in spec.split(","))
    name, threshold = _name_and_threshold(head)
    entry = find(name)
    asked: dict[str, Option] = dict(_pair(pair, spec) for pair in pairs)
    asked.update(options)
    reduction = choose("reduction", str(asked.pop("reduction", "mean")), REDUCTIONS)
    wanted = asked.pop("normalizer", None)
    normalizer = None if wanted is None else choose("normalizer", str(wanted), NORMALIZERS)
    own = _own_options(name, entry, asked)
    score: Score = partial(entry.score, **own) if own else entry.score
    return Criterion(
        name,
        score,
        reduction,
        normalizer,
        threshold,
        options=MappingProxyType(own),
        needs=entry.needs(**own),
        bound=None if threshold is None else _bound(name, entry, threshold),
        rule=None if entry.rule is None else partial(entry.rule, **own),
        losses=entry.losses,
    )


def score_groups(
    structure: Structure,
    constants: Constants,
    criterion: Criterion,
    *,
    seed: int = 0,
    across_groups: bool = False,
    evidence: Evidence | None = None,
    alive: Mapping[str, Mask] | None = None,
    by_rule: bool = False,
) -> Scores:
    """Scores of every group, normalised within the group.

    Args:
        structure: the groups.
        constants: the weights.
        criterion: how to score.
        seed: of random choices.
        across_groups: whether the plan compares units of different groups (scopes global and
            isomorphic); decides the normaliser where the criterion leaves it open.
        evidence: what was measured on data, for criteria that need it.
        alive: (units,) by group, False for those that an earlier criterion has removed.
        by_rule: whether the criterion's own rule counts where it has no threshold.

    Raises:
        UsageError: the criterion returns something that is not one number a unit.
    """
    weights = Weights(constants, reduction=REDUCTIONS[criterion.reduction], seed=seed, evidence=evidence)
    weights.restrict(alive or {})
    scores: dict[str, Floats] = {}
    surplus: dict[str, Mask] = {}
    for group in structure.groups:
        raw = _raw(group, weights, criterion)
        scores[group.name] = _normalized(raw, weights.alive(group), criterion, across_groups)
        if criterion.bound is not None:
            surplus[group.name] = weights.alive(group) & (raw < criterion.bound)
        elif by_rule and criterion.rule is not None:
            surplus[group.name] = weights.alive(group) & criterion.rule(group, weights)
    return Scores(scores, notes=weights.notes(), surplus=surplus)


def rescorer(
    structure: Structure,
    constants: Constants,
    criterion: Criterion,
    *,
    seed: int = 0,
    evidence: Evidence | None = None,
) -> Rescore:
    """What greedy selection asks for each group: its scores without the channels removed before.

    Li et al. 2017 (arXiv 1608.08710, section 3.2).
    """
    reduction = REDUCTIONS[criterion.reduction]
    weights = VisibleWeights(structure, constants, reduction=reduction, seed=seed, evidence=evidence)

    def rescore(group: Group, kept: Mapping[str, Indices]) -> Floats:
        weights.hide(kept)
        return _normalized(_raw(group, weights, criterion), weights.alive(group), criterion, False)

    return rescore


def _raw(group: Group, weights: Weights, criterion: Criterion) -> Floats:
    """Scores as the criterion gives them, what a threshold is compared with, (units,)."""
    scores = np.asarray(criterion.score(group, weights))
    if scores.shape != (group.size,) or scores.dtype.kind not in "fiub":
        raise UsageError(
            f"the criterion {criterion.name!r} gave an array of shape {scores.shape} and type {scores.dtype} "
            f"for the group {group.name!r}.",
            hint=f"It has to return one number a unit, shape ({group.size},).",
        )
    return finite(scores.astype(np.float64))


def _normalized(raw: Floats, alive: Mask, criterion: Criterion, across_groups: bool) -> Floats:
    """The scores scaled as the criterion or the scope wants it, by those of the units left, (units,)."""
    default = "mean" if across_groups and not criterion.losses else "none"
    scores = raw.copy()
    scores[alive] = normalize(raw[alive], NORMALIZERS[criterion.normalizer or default])
    return scores


def _name_and_threshold(head: str) -> tuple[str, float | None]:
    """Splits ``name:threshold``; a colon before a word belongs to ``module:function``."""
    name, colon, last = head.rpartition(":")
    try:
        threshold = float(last) if colon else None
    except ValueError:
        return head, None
    if threshold is not None and not isfinite(threshold):
        raise UsageError(f"the threshold {last!r} of the criterion {name!r} is no finite number.")
    return (name if colon else head), threshold


def _bound(name: str, entry: Entry, threshold: float) -> float:
    """The score below which units go.

    Raises:
        UsageError: the criterion has no threshold, or not this one.
    """
    if entry.threshold is None:
        raise UsageError(
            f"the criterion {name!r} has no threshold, {name}:{threshold:g} gives one.",
            hint=f"Leave it out, and say how much to prune: --criterion {name} --ratio 0.4.",
        )
    return entry.threshold(threshold)


def _pair(text: str, spec: str) -> tuple[str, str]:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals and value):
        raise UsageError(
            f"{text!r} in the criterion {spec!r} is no option.", hint="Write options as name=value."
        )
    return key, value


def _own_options(name: str, entry: Entry, asked: Mapping[str, Option]) -> dict[str, Option]:
    """The function's own options, defaults overlaid with what was asked."""
    own = dict(entry.defaults)
    for key, value in asked.items():
        if key not in own:
            takes = ", ".join(("reduction", "normalizer", *own))
            raise UsageError(f"the criterion {name!r} has no option {key!r}.", hint=f"It takes: {takes}.")
        own[key] = _converted(f"{key} of the criterion {name!r}", value, own[key])
    return own


def _converted(what: str, value: Option, like: Option) -> Option:
    """The value in the type of the default."""
    text = str(value).lower()
    try:
        if isinstance(like, bool):
            if text not in YES | NO:
                raise ValueError(text)
            return text in YES
        return type(like)(value)
    except ValueError as error:
        raise UsageError(
            f"{value!r} does not fit {what}.", hint=f"Its default is {like!r}, of type {type(like).__name__}."
        ) from error
