"""Counts of channels at which a model, measured end to end, meets a latency."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from onnxprune.coupling.groups import Floats, Indices
from onnxprune.errors import InputError, TargetError
from onnxprune.execution.execution import Refusal
from onnxprune.plan import CountsTarget, RatioTarget, make_plan, parse_align
from onnxprune.plan.allocate import FLOOR
from onnxprune.plan.field import open_field
from onnxprune.plan.knapsack import Knapsack, kept_share
from onnxprune.runtime.feeds import Feed, inputs_for, working_feed
from onnxprune.runtime.latency.cache import store_for
from onnxprune.runtime.latency.designs import runnable
from onnxprune.runtime.latency.packing import knapsack_for
from onnxprune.runtime.latency.question import Found, Question, Trial
from onnxprune.runtime.latency.table import LayerTable, layer_table
from onnxprune.runtime.sessions import Session
from onnxprune.runtime.spread import ratio, timing
from onnxprune.runtime.turns import Advance, Timetable, in_turns, joined, steady_clock

LOW, HIGH = 0.95, 1.0
"""The share of the bound that a result shall take: not more, and not much less."""

MISSED = 1.05
"""A bound is missed by more than this; below it the difference is not worth another trial."""

TRIALS = 10

SURE = 0.03
"""Width of the ratio's interval, as a share of it, at which a trial is long enough."""

LONGER = 7
"""How many times longer a trial gets where it is not."""

NEAR = (0.9, 1.1)
"""The share of the bound at which a trial is worth more sittings."""

SITTINGS = 3
"""Of a trial near the bound, each with new sessions: where their memory lies moves the pace by percents."""

MARGIN = 1.03
"""By how much more than the fastest measurement a latency can be promised."""

NAME = "the model"


def meet_latency(question: Question, *, step: Callable[[str], None], advance: Advance | None = None) -> Found:
    """Choose counts that keep the most importance within a latency, and measure that they do.

    1. The time of every layer is measured at many widths, or found in the cache.
    2. A knapsack chooses counts for a predicted budget.
    3. The model with these counts is measured against the source, in turns, and the budget corrected
       by what it missed, until the latency lies within 5 % below the bound.

    Args:
        question: what is asked.
        step: told the name of each step as it begins.
        advance: told how far a step is.

    Raises:
        TargetError: the fastest model that the options allow is slower; names its latency.
        InputError: ONNX Runtime does not run the model.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _Search(question, step, advance, Path(folder)).run()
    except Refusal as exc:
        raise InputError(
            f"The latency cannot be measured: ONNX Runtime does not run the model: {exc}.",
            hint="Choose another target, such as --macs 0.5x.",
        ) from exc


@dataclass(eq=False)
class _Search:
    question: Question
    step: Callable[[str], None]
    advance: Advance | None
    folder: Path
    trials: list[Trial] = field(default_factory=list)
    limit: float = 0.0

    def __post_init__(self) -> None:
        asked = self.question
        self.structure = asked.coupling.structure
        self.options = replace(asked.options, target=RatioTarget(0.0))
        self.field = open_field(self.structure, asked.scores, self.options)
        self.grid = parse_align(asked.options.align)
        self.session, self.feed = self._opened()

    def run(self) -> Found:
        self.step("measuring the source")
        base = self._measure(self.field.sizes, 0.0)
        limit = self.limit = self.question.target.limit(base.source.median) / base.source.median
        if limit >= HIGH and (self.field.settled == self.field.sizes).all():
            return self._answer(base, None, limit)
        self.step("measuring layer times")
        table = self._table()
        self.step("searching for the latency")
        for floor in (FLOOR, 0.0):
            found = self._within(table, limit, floor)
            if found is not None:
                return self._answer(found, table, limit)
        raise self._out_of_reach()

    def _within(self, table: LayerTable, limit: float, floor: float) -> Trial | None:
        """The best trial within the bound, None where the smallest plan exceeds it."""
        sack = knapsack_for(self.field, self.question, table, floor)
        whole = float(table.seconds(self.field.sizes[None, :])[0])
        bracket = _Bracket(limit * (LOW + HIGH) / 2)
        for _ in range(TRIALS):
            budget = bracket.share * whole
            trial = self._tried(self._counts(sack, budget), table)
            cheapest = budget <= sack.smallest
            if LOW <= trial.ratio.value / limit <= HIGH or (cheapest and trial.ratio.value > limit):
                break
            if not bracket.narrow(trial.predicted / whole, trial.ratio.value):
                break
        within = [trial for trial in self.trials if trial.ratio.value <= limit * HIGH]
        if within:
            return max(within, key=lambda trial: trial.ratio.value)
        nearest = min(self.trials, key=lambda trial: trial.ratio.value)
        return nearest if nearest.ratio.value <= limit * MISSED else None

    def _tried(self, counts: Indices, table: LayerTable) -> Trial:
        """The trial of these counts, measured if it was not yet."""
        for trial in self.trials:
            if (trial.counts == counts).all():
                return trial
        self.trials.append(self._measure(counts, float(table.seconds(counts[None, :])[0])))
        return self.trials[-1]

    def _counts(self, sack: Knapsack, budget: float) -> Indices:
        counts = self.field.settled.copy()
        counts[self.field.movable] = sack.counts(budget)
        return counts

    def _measure(self, counts: Indices, predicted: float) -> Trial:
        """The model cut to counts, against the source."""
        kept = self._kept(counts)
        before, after = self._sitting(self.session, kept)
        low, high = (share * self.limit for share in NEAR)
        if low <= ratio(after, before).value <= high:
            for _ in range(SITTINGS - 1):
                before, after = _longer((before, after), self._sitting(self._source(), kept))
        return Trial(counts, predicted, ratio(after, before), timing(after), timing(before))

    def _sitting(self, source: Session, kept: Mapping[str, Indices]) -> tuple[Floats, Floats]:
        """Seconds of the source and of a cut model in turns, for as long as the ratio is unsure."""
        asked = self.question
        session = Session(runnable(asked.coupling, kept, self.folder), threads=asked.threads)
        runs = [partial(own.run, self.feed) for own in (source, session)]
        plan = Timetable(asked.seconds, asked.seed, steady_clock(asked.threads))
        before, after = in_turns(runs, plan, self.advance)
        for _ in range(LONGER):
            found = ratio(after, before)
            if found.interval[1] - found.interval[0] <= SURE * found.value:
                break
            before, after = _longer((before, after), in_turns(runs, plan, self.advance))
        return before, after

    def _kept(self, counts: Indices) -> Mapping[str, Indices]:
        """The units that the plan keeps for these counts."""
        if (counts == self.field.sizes).all():
            return {}
        target = self._target(counts)
        return make_plan(self.structure, self.question.scores, replace(self.options, target=target)).kept

    def _target(self, counts: Indices) -> CountsTarget:
        named = {group.name: int(n) for group, n in zip(self.structure.groups, counts, strict=True)}
        return CountsTarget(named, f"{self.question.target} holds with all its channels")

    def _opened(self) -> tuple[Session, Feed]:
        """A session of the source and a feed of one sample that it runs on."""
        asked = self.question
        session = self._source()
        inputs = inputs_for(asked.coupling, NAME, {})
        return session, working_feed(session, inputs, 1, seed=asked.seed, name=NAME)

    def _source(self) -> Session:
        model = runnable(self.question.coupling, {}, self.folder)
        return Session(model, threads=self.question.threads)

    def _table(self) -> LayerTable:
        asked = self.question
        store = None
        if asked.cache is not None:
            model = asked.coupling.model
            store = store_for(asked.cache, model, self.feed, grid=self.grid, threads=asked.threads)
        return layer_table(
            asked.coupling,
            self.feed,
            grid=self.grid,
            threads=asked.threads,
            store=store,
            advance=self.advance,
        )

    def _answer(self, trial: Trial, table: LayerTable | None, limit: float) -> Found:
        shares = []
        for place in self.field.movable.tolist():
            group = self.structure.groups[place]
            kept = kept_share(self.question.scores[group.name])[trial.counts[place] - 1]
            shares.append((group.size, float(kept)))
        # every group weighs as many as it has units, as where units of all groups are compared
        units = sum(size for size, _ in shares)
        importance = sum(size * kept for size, kept in shares) / units if units else 1.0
        target = self._target(trial.counts)
        return Found(target, trial, table, importance, len(self.trials), limit, self.question.threads)

    def _out_of_reach(self) -> TargetError:
        target = self.question.target
        best = min(self.trials, key=lambda trial: trial.ratio.value)
        source = best.source.median
        reached, safe = (target.spell(best.ratio.value * more * source, source) for more in (1.0, MARGIN))
        return TargetError(
            f"{target} cannot be met: the fastest model that these options allow was measured at {reached}.",
            hint=f"Ask for {target.option} {safe}, or let more layers be cut.",
        )


def _longer(first: tuple[Floats, Floats], more: Sequence[Floats]) -> tuple[Floats, Floats]:
    """The rounds of both models, and further rounds of both."""
    return joined(first[0], more[0]), joined(first[1], more[1])


class _Bracket:
    """The share of the predicted time to ask the knapsack for, so that the measured share is the goal.

    Args:
        goal: of the measured share.
    """

    def __init__(self, goal: float) -> None:
        self.share = self._goal = goal
        self._low, self._high = 0.0, 1.0

    def narrow(self, predicted: float, measured: float) -> bool:
        """Learn from a trial; returns False where there is nothing left between the ends.

        Args:
            predicted: share of the candidate by the table.
            measured: share of it.
        """
        if measured > self._goal:
            self._high = min(self._high, predicted, self.share)
        else:
            self._low = max(self._low, min(predicted, self.share))
        if self._high - self._low < 1e-3 * self._high:
            return False
        wanted = self.share * self._goal / measured
        inside = self._low < wanted < self._high
        self.share = wanted if inside else (self._low + self._high) / 2
        return True
