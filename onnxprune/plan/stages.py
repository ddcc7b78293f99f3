"""Pipelines of criteria: each looks only at the units that those before it have left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.groups import Floats, Indices, Structure
from onnxprune.criteria import Rescore, Scores
from onnxprune.plan.allocate import EPSILON, FLOOR
from onnxprune.plan.options import Plan, PlanOptions
from onnxprune.plan.plan import make_plan, plain_counts

Mask = npt.NDArray[np.bool_]
Masks = Mapping[str, Mask]


@dataclass(frozen=True)
class Stage:
    """A criterion at its place in a pipeline.

    Attributes:
        score: scores all groups, given the units (units,) by group that are left; its ``surplus`` says
            which units go whatever the target.
        decides: whether there is such a surplus: the criterion has a threshold, or a rule that counts.
    """

    score: Callable[[Masks], Scores]
    decides: bool = False


@dataclass(frozen=True, eq=False)
class StagedPlan:
    """What a pipeline came to.

    Attributes:
        plan: which units stay.
        scores: (units,) by group: of a unit that a stage removed, its score there; of the others, that
            of the last stage.
        removed_by: group -> (units,) position of the stage that removed the unit, -1 for those that stay.
        notes: what scoring wants the user to know.
        last: position of the stage that the scores of the units left come from.
    """

    plan: Plan
    scores: Mapping[str, Floats]
    removed_by: Mapping[str, Indices]
    notes: tuple[str, ...] = ()
    last: int = 0


def plan_stages(
    structure: Structure, stages: Sequence[Stage], options: PlanOptions, *, rescore: Rescore | None = None
) -> StagedPlan:
    """Decides what stays when several criteria have their say.

    1. Stages that decide by themselves cut first, in their order: their surplus goes, but of no group
       more than nine tenths.
    2. Then the others go on towards the target, each with an equal share of what is still to be
       removed from each group. Where all decide by themselves, the last one does that too.
    3. The counts are aligned at the end, once; what alignment takes or gives back follows the order
       in which the units went.

    A target never gives back what a stage has cut by itself; alignment may.

    Args:
        structure: what coupling found.
        stages: one or more.
        options: what to reach and where.
        rescore: gives a group's scores anew; only with a single stage that decides nothing.

    Raises:
        UsageError: options that make no sense, or do not fit the model.
        TargetError: a budget below what can be reached.
    """
    walk = _Walk(structure)
    for position, stage in enumerate(stages):
        if stage.decides:
            walk.cut_surplus(position, stage.score(walk.alive))
    bounded = replace(options, most={**options.most, **walk.counts()})
    fillers = [place for place, stage in enumerate(stages) if not stage.decides] or [len(stages) - 1]
    for others, position in zip(range(len(fillers) - 1, -1, -1), fillers, strict=True):
        walk.look(stages[position].score(walk.alive))
        if others:
            goal = plain_counts(structure, walk.order(), bounded)
            walk.cut_share(position, goal, 1.0 / (others + 1))
    plan = make_plan(structure, walk.order(), bounded, rescore=rescore)
    last = fillers[-1]
    return StagedPlan(plan, walk.seen(), walk.removed_by(plan, last), walk.notes, last)


@dataclass
class _Walk:
    """The units that are left, and the order in which the others went."""

    structure: Structure
    alive: dict[str, Mask] = field(default_factory=dict)
    scores: Mapping[str, Floats] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        groups = self.structure.groups
        self.alive = {group.name: np.ones(group.size, dtype=bool) for group in groups}
        self._stage = {group.name: np.full(group.size, -1, dtype=np.int64) for group in groups}
        self._place = {group.name: np.zeros(group.size) for group in groups}
        self._seen = {group.name: np.zeros(group.size) for group in groups}
        self._stages = 0

    def look(self, scores: Scores) -> None:
        """From now on these scores rank the units that are left."""
        self.scores = scores
        self.notes = tuple(dict.fromkeys((*self.notes, *scores.notes)))

    def cut_surplus(self, position: int, scores: Scores) -> None:
        """A stage removes what it says goes whatever the target; every group keeps a tenth, and one."""
        self.look(scores)
        for group in self.structure.groups:
            left = self.alive[group.name]
            least = max(1, int(group.size * FLOOR + EPSILON))
            gone = np.flatnonzero(left & scores.surplus[group.name])
            gone = gone[np.argsort(scores[group.name][gone], kind="stable")]
            self._remove(position, group.name, gone[: max(0, int(left.sum()) - least)])
        self._stages += 1

    def cut_share(self, position: int, goal: Indices, share: float) -> None:
        """A stage removes its share of what is missing to the counts (groups,) of the target."""
        for group, count in zip(self.structure.groups, goal, strict=True):
            left = np.flatnonzero(self.alive[group.name])
            gone = left[np.argsort(self.scores[group.name][left], kind="stable")]
            self._remove(position, group.name, gone[: round(max(0, len(left) - int(count)) * share)])
        self._stages += 1

    def counts(self) -> dict[str, int]:
        """Units left of the groups that lost some."""
        return {name: int(mask.sum()) for name, mask in self.alive.items() if not mask.all()}

    def order(self) -> Mapping[str, Floats]:
        """Scores (units,) by group in whose order the units go, for the plan.

        Those of the units left, and below them those of the units gone, the first stage's lowest; the
        scores as they are where nothing is gone.
        """
        if not self._stages:
            return self.scores
        left = [self.scores[name][mask] for name, mask in self.alive.items()]
        _, ranks = np.unique(np.concatenate(left), return_inverse=True)
        found: dict[str, Floats] = {}
        start = 0
        for name, mask in self.alive.items():
            found[name] = self._place[name] - self._stages
            stop = start + int(mask.sum())
            found[name][mask] = ranks[start:stop]
            start = stop
        return found

    def seen(self) -> dict[str, Floats]:
        """Each unit's score where it was decided about, (units,) by group."""
        return {
            name: np.where(mask, self.scores[name], self._seen[name]) for name, mask in self.alive.items()
        }

    def removed_by(self, plan: Plan, last: int) -> dict[str, Indices]:
        """Stage of every unit that the plan removes, -1 for the others; the last one made up the rest."""
        found = {}
        for name, stage in self._stage.items():
            own = np.where(stage < 0, last, stage)
            own[plan.kept.get(name, slice(None))] = -1
            found[name] = own
        return found

    def _remove(self, position: int, name: str, ascending: Indices) -> None:
        """Units of a group, those first that have to go first."""
        self.alive[name][ascending] = False
        self._stage[name][ascending] = position
        self._seen[name][ascending] = self.scores[name][ascending]
        self._place[name][ascending] = self._stages + np.arange(len(ascending)) / (1 + len(ascending))
