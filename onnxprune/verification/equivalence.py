"""The check itself: the pruned model computes what the masked source computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

import numpy as np

from onnxprune.coupling.coupling import Coupling
from onnxprune.errors import InputError, VerificationError
from onnxprune.execution.execution import Execution, Refusal
from onnxprune.execution.inputs import SIZES, Input, Undrawable, check_size, draw, inputs_of, is_symbolic
from onnxprune.execution.program import Program, program_of
from onnxprune.model.constants import Array
from onnxprune.model.model import Model
from onnxprune.surgery import Cut
from onnxprune.verification.compare import Difference, compare
from onnxprune.verification.masking import disagreement, masked_program
from onnxprune.verification.statistics import use_kept_statistics
from onnxprune.verification.verification import Verification, tolerance_of

_RELATIVE_STEP = 1e-6
_STEPS = 8
_MOST = 1e-2
_MOST_TIMES = 5
"""How far ``_rounding`` moves inputs; how many times its answer is allowed, and at most what."""

Run = tuple[Mapping[str, Array], Mapping[str, Any]]
"""Inputs and what came out."""


def masked_equivalence(
    source: Model,
    cut: Cut,
    coupling: Coupling,
    *,
    samples: int = 2,
    seed: int = 0,
    threads: int | None = None,
    tolerance: float | None = None,
) -> Verification:
    """Compare the pruned model with the source in which the removed slices are masked, on random inputs.

    Removed slices become zero, one in divisors, the zero point in quantised constants; normalisations and
    means over a cut axis take their statistic over the kept indices. The models run one after the other.

    Args:
        source: the model before the cut, the one that was coupled.
        cut: what surgery made of it; its cuts rebuild the masked source.
        coupling: of the source.
        samples: draws of random inputs.
        seed: of the first draw.
        threads: of ONNX Runtime; None leaves the choice to it.
        tolerance: largest error of an output relative to its largest magnitude; None takes 1e-4, for
            float16 1e-2, for quantised activations 2e-2, and more where the source amplifies rounding.

    Raises:
        InputError: ONNX Runtime does not run the source, or it is too large to be run.
        VerificationError: it runs the source but not the pruned model.
    """
    allowed = tolerance_of(source) if tolerance is None else tolerance
    obstacle = _obstacle(coupling, cut, allowed)
    if obstacle is not None:
        return obstacle
    check_size(coupling)
    seeds = range(seed, seed + samples)
    runs = _run_source(_masked_source(coupling, cut), inputs_of(coupling), seeds, threads)
    worst = _worst(runs, _run_pruned(program_of(cut.model), runs, threads))
    if tolerance is None:
        rounding = partial(_rounding, coupling, cut, runs, threads)
        allowed = _widened(allowed, worst.error, rounding)
    return _verdict(worst, allowed, samples)


def _obstacle(coupling: Coupling, cut: Cut, allowed: float) -> Verification | None:
    """The outcome where nothing can be compared."""
    name = disagreement(coupling, cut.cuts, cut.survivors)
    if name:
        return Verification(False, inf, allowed, 0, False, f"the cuts of {name!r} contradict its groups")
    try:
        inputs_of(coupling)
    except Undrawable as stop:
        return Verification(False, 0.0, allowed, 0, False, f"{stop}: no random inputs can be made")
    return None


def _masked_source(coupling: Coupling, cut: Cut) -> Program:
    program = masked_program(coupling, cut.cuts, cut.survivors)
    use_kept_statistics(program, coupling, cut.survivors)
    return program


def _worst(runs: list[Run], others: Iterable[Mapping[str, Any]]) -> Difference:
    """The largest difference over all samples."""
    found = [compare(wanted, other) for (_, wanted), other in zip(runs, others, strict=True)]
    worst = max(found, key=lambda one: one.error, default=Difference())
    return replace(worst, informative=any(one.informative for one in found))


def _widened(allowed: float, error: float, rounding: Callable[[], float]) -> float:
    """The tolerance where an error is small enough to be rounding, if it is."""
    most = max(_MOST, _MOST_TIMES * allowed)
    if not allowed < error <= most:
        return allowed
    return max(allowed, min(_STEPS * rounding(), most))


def _rounding(coupling: Coupling, cut: Cut, runs: list[Run], threads: int | None) -> float:
    """The relative error by which the source itself answers to inputs that moved by a millionth.

    Where a network amplifies rounding, as the far end of a sigmoid or a quantised output does, no
    tighter agreement can be asked of two ways to compute it.
    """
    execution = Execution(_masked_source(coupling, cut), threads)
    generator = np.random.default_rng(0)
    moved = [{name: _moved(value, generator) for name, value in feed.items()} for feed, _ in runs]
    return _worst(runs, (execution.run(feed) for feed in moved)).error


def _moved(value: Array, generator: np.random.Generator) -> Array:
    if not np.issubdtype(value.dtype, np.floating):
        return value
    step = max(_RELATIVE_STEP, float(np.finfo(value.dtype).eps))
    moved: Array = (value * (1 + step * generator.standard_normal(value.shape))).astype(value.dtype)
    return moved


def _run_source(program: Program, inputs: list[Input], seeds: range, threads: int | None) -> list[Run]:
    """Runs of the masked source, with the first sizes of symbolic dims that it runs with."""
    refusals: list[Refusal] = []
    try:
        execution = Execution(program, threads)
        for sizes in SIZES if is_symbolic(inputs) else SIZES[:1]:
            try:
                feeds = [draw(inputs, sizes, seed=seed) for seed in seeds]
                return [(feed, execution.run(feed)) for feed in feeds]
            except Refusal as stop:
                refusals.append(stop)
    except Refusal as stop:
        refusals.append(stop)
    raise InputError(
        f"ONNX Runtime does not run the source model: {refusals[0]}",
        hint="Check that it runs by itself; with --no-verify it can be pruned all the same.",
    ) from refusals[0]


def _run_pruned(program: Program, runs: list[Run], threads: int | None) -> Iterator[Mapping[str, Any]]:
    try:
        execution = Execution(program, threads)
        for feed, _ in runs:
            yield execution.run(feed)
    except Refusal as stop:
        raise VerificationError(
            f"ONNX Runtime runs the source, but not the pruned model: {stop}",
            hint="This is a fault of onnxprune: please report it.",
        ) from stop


def _verdict(worst: Difference, tolerance: float, samples: int) -> Verification:
    if worst.error > tolerance:
        numbers = f"it differs by {worst.error:.1e} of its largest value, {tolerance:.0e} is allowed"
        reason = f"output {worst.output!r}: {worst.detail or numbers}"
        return Verification(True, worst.error, tolerance, samples, False, reason)
    if not worst.informative:
        reason = "no output has a finite value on random inputs, so there is nothing to compare"
        return Verification(False, worst.error, tolerance, samples, False, reason)
    return Verification(True, worst.error, tolerance, samples, True)
