"""``onnxprune sweep``: many ways of pruning, and which of them no other beats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnxprune.cli.errors import DONE, MISSED
from onnxprune.cli.evaluate import needed_data
from onnxprune.cli.options import DataOptions, ModelPath, ViewOptions
from onnxprune.cli.signals import Ended
from onnxprune.cli.stdout import complain, deliver, working
from onnxprune.cli.sweep_options import JudgeOptions, PlaceOptions, SearchOptions, SpaceOptions, SweepFiles
from onnxprune.errors import UsageError

if TYPE_CHECKING:
    from onnxprune.api.settings import Settings
    from onnxprune.api.trials import SweepSettings
    from onnxprune.sweep import Space, Sweep

RATIOS = "0.2,0.4,0.6"
ALWAYS = ("sweep.html", "sweep.json", "sweep.csv")
"""Results as files that every sweep leaves in its folder."""


def sweep(
    model: ModelPath,
    space: SpaceOptions,
    search: SearchOptions,
    data: DataOptions,
    judge: JudgeOptions,
    place: PlaceOptions,
    files: SweepFiles,
    view: ViewOptions,
) -> int:
    """Prune a model in many ways, and mark the results that no other beats in accuracy and cost.

    Every way is verified, measured on samples that nothing was chosen by, and timed against the source.
    The same command again does only what is missing; several of them at once, also on other machines,
    share the work.

    Exit codes: 0 done, 1 a way has no result, 2 error, 130 interrupted; the same command then goes on.
    """
    from onnxprune.api.sweeping import sweep_model

    needed_data(data)
    folder = files.output or model.with_name(f"{model.stem}.sweep")
    own = _settings(folder, space, search, judge)
    common = _common(data, judge, place)
    with working(show=not (view.json or view.quiet), timed=view.verbose > 0) as step:
        _check(model, files)
        try:
            found = sweep_model(model, common, own, progress=step)
        except (KeyboardInterrupt, Ended):
            complain("what is done is kept: the same command goes on from here\n")
            raise
        written = _write(found, folder, files)
    _show(found, written, view)
    return MISSED if found.failed else DONE


def _settings(folder: Path, space: SpaceOptions, search: SearchOptions, judge: JudgeOptions) -> SweepSettings:
    from onnxprune.api.trials import SweepSettings
    from onnxprune.sweep.study import GRID

    sampler = search.sampler or (GRID if search.trials is None else "tpe")
    return SweepSettings(
        _space(space), folder, search.trials, sampler, search.storage, judge.latency, judge.seconds
    )


def _space(space: SpaceOptions) -> Space:
    from onnxprune.cli.settings import import_from_here
    from onnxprune.sweep.space import make_space, split_list

    layers = split_list(space.layers or "")
    if space.layers is not None and not layers:
        raise UsageError("--layers names no layer.", hint="'onnxprune inspect MODEL' shows their names.")
    criteria = split_list(space.criteria or "obs")
    if any(":" in spec for spec in criteria):
        import_from_here()
    usual = None if space.macs_list else RATIOS
    ratios = space.ratios if space.ratios is not None else usual
    given = (ratios or "").strip()
    return make_space(
        ratios=given if ":" in given else split_list(given),
        macs=split_list(space.macs_list or ""),
        criteria=criteria,
        repairs=split_list(space.repairs),
        quantize=split_list(space.quantize or ("none,fp16,int8" if layers else "none")),
        layers=layers,
    )


def _common(data: DataOptions, judge: JudgeOptions, place: PlaceOptions) -> Settings:
    from onnxprune.api.settings import Settings

    return Settings(
        scope=place.scope,
        align=place.align,
        include=tuple(place.include or ()),
        exclude=tuple(place.exclude or ()),
        granularity=place.granularity,
        seed=place.seed,
        data=data.data,
        preprocess=data.preprocess,
        samples=data.samples,
        holdout=judge.holdout,
        metric=judge.metric,
        output_name=judge.output_name,
        ranges=judge.ranges,
        threads=judge.threads,
    )


def _check(model: Path, files: SweepFiles) -> None:
    """Refuse files that could not be written, before the sweep takes its time."""
    from onnxprune.pictures import FORMS, check_plots
    from onnxprune.report.files import check_reports
    from onnxprune.report.sweep_files import SWEEP_FORMS

    check_reports(files.report or (), (model, *(files.plot or ())), SWEEP_FORMS)
    check_reports(files.plot or (), (model,), FORMS)
    if files.plot:
        check_plots()


def _write(found: Sweep, folder: Path, files: SweepFiles) -> list[Path]:
    from onnxprune.report.files import write_bytes
    from onnxprune.report.sweep_files import write_sweep
    from onnxprune.sweep.plot import draw

    reports = [*(folder / name for name in ALWAYS), *(files.report or ())]
    for path in reports:
        write_sweep(found, path)
    for path in files.plot or ():
        write_bytes(draw(found, path), path)
    return [folder / ALWAYS[0], *(files.report or ()), *(files.plot or ())]


def _show(found: Sweep, written: list[Path], view: ViewOptions) -> None:
    if view.json:
        from onnxprune.report import dumps

        deliver(dumps(found.to_dict()))
    elif not view.quiet:
        from rich.console import Console

        from onnxprune.report.sweep_views import show_sweep

        console = Console()
        with console.capture() as text:
            show_sweep(found, console, files=[str(path) for path in written])
        deliver(text.get())
