"""The report of a pruning run, put together from what its steps left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from onnxprune.api.accuracy import missed_drop
from onnxprune.api.job import Job
from onnxprune.api.outcomes import Outcome
from onnxprune.api.planning import Planned
from onnxprune.model import Model
from onnxprune.plan import BudgetTarget, RatioTarget
from onnxprune.plan.problem import TOLERANCE
from onnxprune.report import Report, build
from onnxprune.report.figures import plural
from onnxprune.report.groups import group_accounts
from onnxprune.report.scores import Histogram, histograms
from onnxprune.runtime.spread import SLOWER

_NAMES_SHOWN = 3


def report_of(outcome: Outcome, job: Job) -> Report:
    """The report as far as it is known before the result is written."""
    planned, cut = outcome.planned, outcome.cut
    coupling, plan = planned.coupling, planned.plan
    reasons = _reasons(outcome)
    rows = build.layer_rows(
        coupling,
        cut,
        reasons=reasons,
        asked=planned.asked,
        removed_by=planned.removed_by,
        criteria=len(job.criteria),
    )
    totals = build.totals(coupling, cut, rows)
    deviation = _deviation(totals["macs"][1], plan.unaligned["macs"])
    return Report(
        source=build.describe_source(coupling.model),
        output={},
        settings={**job.to_dict(), "repair": outcome.repair},
        repair=outcome.account,
        steps=outcome.steps,
        training=outcome.training,
        latency=planned.latency,
        totals=totals,
        layers=rows,
        cuts=cut.cuts,
        verification=outcome.verification,
        alignment={
            "grid": plan.alignment,
            "unaligned": {name: round(value) for name, value in plan.unaligned.items()},
            "deviation": deviation,
        },
        warnings=(*_warnings(outcome), *_off_plan(deviation, job)),
        groups=group_accounts(coupling, cut.survivors, reasons),
        scores=_histograms(planned),
        versions=build.versions(),
    )


def _histograms(planned: Planned) -> Mapping[str, Histogram]:
    """How the scores that decided are spread; where nothing was chosen they decided nothing."""
    if not planned.plan.kept:
        return {}
    others = {name: (by >= 0) & (by != planned.last) for name, by in planned.removed_by.items()}
    return histograms(planned.coupling.structure.groups, planned.scores, planned.plan.kept, others)


def finished(
    report: Report, job: Job, saved: Model, *, output: Path | None, flushed: tuple[str, ...]
) -> Report:
    """The report with what is known once the bytes are, missed bounds included.

    Args:
        report: so far.
        job: whose bounds have to hold.
        saved: the result, which knows its file's size and digest.
        output: where it was to go, None for nowhere.
        flushed: constants whose denormal values were set to zero.
    """
    done = output is not None and saved.sha256 != ""
    full = replace(
        report,
        output=build.describe_output(output, saved, written=done, flushed=flushed),
        totals={**report.totals, "bytes": (report.totals["bytes"][0], saved.nbytes)},
    )
    return replace(full, missed=tuple(_missed(full, job)))


def _reasons(outcome: Outcome) -> Mapping[str, str]:
    """Why groups were left whole; the plan knows nothing of a clean-up."""
    if not outcome.cleaned:
        return outcome.planned.plan.reasons
    groups = outcome.planned.coupling.structure.groups
    return {group.name: group.held or "none of its channels is dead or a duplicate" for group in groups}


def _deviation(aligned: float, plain: float) -> float:
    """By which share of the plain plan's MACs alignment changed them."""
    return round(aligned / plain - 1.0, 6) if plain else 0.0


def _off_plan(deviation: float, job: Job) -> Iterator[str]:
    """Small layers have few counts to choose from; a budget is held whatever they are."""
    if isinstance(job.target, RatioTarget) and abs(deviation) > TOLERANCE:
        yield (
            f"aligned to {job.grid} channels the result has {deviation:+.0%} MACs against the plain plan, "
            "as its layers have few such counts; --align off keeps to the plan"
        )


def _warnings(outcome: Outcome) -> Iterator[str]:
    yield from outcome.planned.notes
    yield from outcome.cut.warnings
    yield from outcome.notes
    if outcome.flushed:
        shown = ", ".join(outcome.flushed[:_NAMES_SHOWN])
        more = len(outcome.flushed) - _NAMES_SHOWN
        yield (
            f"denormal weights, which slow many processors down, were set to zero in "
            f"{plural(len(outcome.flushed), 'tensor')}: {shown}" + (f" and {more} more" if more > 0 else "")
        )
    if not outcome.cut.cuts:
        yield "nothing was removed; each layer says why"
    for found in outcome.verification.values():
        if not found["checked"]:
            yield f"the result is not verified: {found['reason']}"


def _missed(report: Report, job: Job) -> Iterator[str]:
    if report.wrong:
        yield f"verification: {report.wrong}"
    target = job.target
    if isinstance(target, BudgetTarget):
        before, after = report.totals[target.metric]
        if after > target.limit(before) * (1 + 1e-9):
            yield f"{target}: the result has {target.spell(after, before, up=True)}"
    if job.settings.bench and report.latency.get("verdict") == SLOWER:
        yield f"--bench: the result takes {report.latency['ratio']:.3g}x the time of the source"
    yield from missed_drop(report.accuracy)
    if job.settings.strict:
        yield from _missed_strictly(report)


def _missed_strictly(report: Report) -> Iterator[str]:
    names = [row.name for row in report.untouched]
    if names:
        more = len(names) - _NAMES_SHOWN
        shown = ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        yield f"--strict: {plural(len(names), 'layer')} untouched: {shown}"
    for method, found in report.verification.items():
        if not found["checked"]:
            yield f"--strict: {method.replace('_', ' ')} was not checked: {found['reason']}"
