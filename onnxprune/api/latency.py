"""Latency in a pruning run: the counts for a target, and the result against its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxprune.api.benchmarking import subjects
from onnxprune.api.job import Job
from onnxprune.coupling import Coupling
from onnxprune.errors import UsageError
from onnxprune.model import Model
from onnxprune.plan import PlanOptions, Stage
from onnxprune.plan.latency import LatencyTarget
from onnxprune.runtime.benchmark import run_benchmark
from onnxprune.runtime.latency import Question, meet_latency
from onnxprune.runtime.results import BenchSettings
from onnxprune.runtime.turns import Advance

SECONDS = 3.0
"""Of timed runs in the comparison at the end."""


def find_counts(
    coupling: Coupling,
    job: Job,
    stages: Sequence[Stage],
    options: PlanOptions,
    step: Callable[[str], None],
) -> tuple[PlanOptions, Mapping[str, Any]]:
    """The options of the plan with counts in place of the latency, and what was measured.

    Args:
        coupling: of the model.
        job: whose target is a latency.
        stages: criteria; the first that a target steers ranks the units.
        options: of the plan otherwise.
        step: told the name of each step.

    Raises:
        UsageError: alignment is off: only aligned counts are measured.
        TargetError: the latency is out of reach.
    """
    target = job.target
    assert isinstance(target, LatencyTarget)
    if job.grid == 1:
        raise UsageError(
            f"{target} and --align off contradict each other: few channel counts are fast, and only those "
            "are measured.",
            hint="Leave --align out, or give the number of channels to align to.",
        )
    whole = {group.name: np.ones(group.size, dtype=bool) for group in coupling.structure.groups}
    ranking = next((stage for stage in stages if not stage.decides), stages[0])
    question = Question(
        coupling,
        ranking.score(whole),
        options,
        target,
        threads=job.settings.threads or 1,
        seed=job.settings.seed,
        cache=None if job.settings.cache is None else Path(job.settings.cache),
    )
    found = meet_latency(question, step=step, advance=progress_of(step))
    return replace(options, target=found.target), found.to_dict()


def against_source(models: Mapping[str, Model], job: Job, step: Callable[[str], None]) -> Mapping[str, Any]:
    """The result measured against its source, for the report.

    Args:
        models: ``source``, ``pruned``, and others by name; written or not.
        job: says with how many threads, and the seed.
        step: told the name of each step.

    Raises:
        InputError: ONNX Runtime does not run one of them.
    """
    own = job.settings
    settings = BenchSettings(threads=(own.threads or 1,), seconds=SECONDS, seed=own.seed)
    with subjects(list(models.items())) as found:
        measured = run_benchmark(found, settings, step=step, advance=progress_of(step))
    rows = dict(zip(models, measured.results[0].rows, strict=True))
    ratio = rows["pruned"].ratio
    memory = {name: alone.to_dict() for name, alone in zip(rows, measured.alone, strict=True)}
    return {
        "models": {name: {**row.to_dict(), **memory[name]} for name, row in rows.items()},
        **(ratio.to_dict() if ratio else {}),
        "threads": measured.results[0].threads,
        "batch": rows["source"].batch,
        "clock": "wall",
        "machine": str(measured.machine),
    }


def progress_of(step: Callable[[str], None]) -> Advance | None:
    """What is told how far a step is, where whoever is told the steps wants to know that too."""
    found: Advance | None = getattr(step, "advance", None)
    return found
