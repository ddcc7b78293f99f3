"""One way of pruning after the other, with every step that several of them share done once.

What a step gives is kept in a folder under what it depends on: statistics of activations, the choice of
channels with its proof, repaired weights, figures. A process that comes later, or at the same time, takes it
from there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from onnxprune.api.holding import Shares
from onnxprune.api.job import Job, open_job
from onnxprune.api.planning import Step, plan_model
from onnxprune.api.repairing import mend
from onnxprune.api.settings import Settings
from onnxprune.api.timing import Pace, paced
from onnxprune.calibration import Evidence, Samples
from onnxprune.calibration.statistics import Statistic
from onnxprune.coupling import Coupling
from onnxprune.coupling.groups import Floats, Indices
from onnxprune.errors import VerificationError
from onnxprune.evaluation import Evaluator, predictor
from onnxprune.model import Model, load_model, save_model
from onnxprune.model.files import replacing
from onnxprune.plan.selectors import select
from onnxprune.reconstruction.evidence import gather
from onnxprune.report import measure
from onnxprune.runtime.quantization import Quantization, quantize_model
from onnxprune.surgery import Cut, apply, flush_denormals
from onnxprune.sweep.shelf import Shelf, write_text
from onnxprune.sweep.space import NONE, Config
from onnxprune.verification import masked_equivalence

MODELS = "models"
"""Folder of the results within that of a sweep."""


@dataclass(frozen=True, eq=False)
class Material:
    """What all ways of pruning start from.

    Attributes:
        coupling: of the source.
        shares: samples to fit to, and others to judge by.
        settings: what all ways have in common.
        shelf: where steps are kept.
        folder: of the sweep.
        pace: how latency is measured, None where it is not.
    """

    coupling: Coupling
    shares: Shares
    settings: Settings
    shelf: Shelf
    folder: Path
    pace: Pace | None = None


@dataclass(frozen=True, eq=False)
class _Pruned:
    """The model in floating-point numbers, before it is quantised.

    Attributes:
        model: pruned and repaired.
        account: what the result says about it.
    """

    model: Model
    account: Mapping[str, Any]


class Workshop:
    """Tries ways of pruning.

    Args:
        material: what they start from.
        criteria: every criterion that may be tried, so that the samples are run through once for all.
        step: told the name of each step.
    """

    def __init__(self, material: Material, criteria: Iterable[str], step: Step) -> None:
        self._own = material
        self._criteria = tuple(criteria)
        self._step = step
        self._last: tuple[str, _Pruned] | None = None
        self._cut: tuple[str, Cut, Mapping[str, Any]] | None = None

    def outcome(self, config: Config) -> dict[str, Any]:
        """What becomes of a way of pruning; the model is written into the folder ``models``.

        Raises:
            TargetError: its budget is out of reach.
            VerificationError: the result is not what the masked source computes.
            InputError: a model does not run, or the tools fail on it.
        """
        shelf = self._own.shelf
        path = self.path(config)
        if path is not None and not path.exists():
            shelf.forget("result", config.key)
        found = shelf.data("result", config.key, lambda: self._result(config))
        if self._own.pace is not None:
            pace = self._own.pace
            found["latency"] = shelf.data(
                "latency", [config.key, pace.key], lambda: self._latency(config, pace)
            )
        return found

    def path(self, config: Config) -> Path | None:
        """Where the model of a way goes; None for the source itself."""
        if config.is_source and config.quantize == NONE:
            return None
        return self._own.folder / MODELS / f"{config.name}.onnx"

    def _result(self, config: Config) -> dict[str, Any]:
        begin = time.perf_counter()
        pruned = self._pruned(config)
        model = pruned.model
        if config.quantize != NONE:
            self._step("quantising")
            own = self._own
            model = quantize_model(
                model, Quantization(config.quantize, own.settings.ranges, own.shares.fitting)
            )
        self._step("measuring accuracy")
        found = self._evaluator.evaluate(predictor(model, threads=self._own.settings.threads))
        path = self.path(config)
        nbytes = model.nbytes if path is None else save_model(replace(model, external=()), path)
        return {
            "metrics": {name: figure.to_dict() for name, figure in found.figures.items()},
            **pruned.account,
            "bytes": nbytes,
            "model": None if path is None else f"{MODELS}/{path.name}",
            "seconds": round(time.perf_counter() - begin, 2),
        }

    def _pruned(self, config: Config) -> _Pruned:
        """The model before it is quantised; what was made last is kept for its neighbour."""
        plain = replace(config, quantize=NONE)
        if self._last is None or self._last[0] != plain.key:
            self._last = (plain.key, self._source() if plain.is_source else self._repaired(plain))
        return self._last[1]

    def _source(self) -> _Pruned:
        coupling = self._own.coupling
        macs = measure.macs(coupling, coupling.survivors({}))[0]
        params = measure.parameters(coupling.model.constants)
        return _Pruned(coupling.model, {"macs": macs, "params": params, "repaired": NONE})

    def _repaired(self, config: Config) -> _Pruned:
        job = self._job(config)
        cut, plan = self._cut_of(replace(config, repair=NONE), job)
        account = {name: plan[name] for name in ("macs", "params", "verification")}
        notes = list(plan["notes"])
        if config.repair == NONE or not plan["kept"]:
            return _Pruned(cut.model, {**account, "repaired": NONE, "notes": notes})
        beside = self._own.shelf.file(
            "repair", config.key, ".onnx", lambda path: self._mend(cut, plan, job, path)
        )
        about = json.loads(_about(beside).read_text(encoding="utf-8"))
        model = load_model(beside)
        return _Pruned(model, {**account, "repaired": about["method"], "notes": [*notes, *about["notes"]]})

    def _mend(self, cut: Cut, plan: Mapping[str, Any], job: Job, path: Path) -> None:
        """Repair and keep the model; what was done is written first, so that the model never lacks it."""
        kept = _indices(plan["kept"])
        mended = mend(self._own.coupling, cut, kept, job, self._step, samples=self._own.shares.fitting)
        write_text(_about(path), json.dumps({"method": mended.method, "notes": list(mended.notes)}))
        save_model(replace(mended.cut.model, external=()), path)

    def _cut_of(self, config: Config, job: Job) -> tuple[Cut, Mapping[str, Any]]:
        """The cut without repair, and the choice that it follows."""
        if self._cut is None or self._cut[0] != config.key:
            plan = self._own.shelf.data("plan", config.key, lambda: self._planned(config, job))
            self._cut = (config.key, self._applied(_indices(plan["kept"])), plan)
        return self._cut[1:]

    def _applied(self, kept: Mapping[str, Indices]) -> Cut:
        cut = apply(self._own.coupling, kept)
        model, _ = flush_denormals(cut.model)
        return replace(cut, model=model)

    def _planned(self, config: Config, job: Job) -> dict[str, Any]:
        """Which units stay, proved to leave what the masked source computes.

        Raises:
            VerificationError: they do not.
        """
        own = self._own
        planned = plan_model(own.coupling, job, self._step, evidence=self._evidence)
        self._step("cutting")
        cut = self._applied(planned.plan.kept)
        self._step("verifying")
        seed, threads = own.settings.seed, own.settings.threads
        proof = masked_equivalence(own.coupling.model, cut, own.coupling, seed=seed, threads=threads)
        if proof.checked and not proof.passed:
            raise VerificationError(
                f"{config.title} is not what the masked source computes: {proof.reason}.",
                hint="This is a defect of onnxprune; please report it with the model.",
            )
        unproved = [] if proof.checked else [f"not verified: {proof.reason}"]
        return {
            "kept": {name: units.tolist() for name, units in planned.plan.kept.items()},
            "macs": measure.macs(own.coupling, cut.survivors)[1],
            "params": measure.parameters(cut.model.constants),
            "verification": asdict(proof),
            "notes": [*planned.notes, *unproved],
        }

    def _job(self, config: Config) -> Job:
        return job_of(self._own.settings, config)

    @cached_property
    def _evaluator(self) -> Evaluator:
        """Measures on the samples that were held back, beside the source."""
        own = self._own
        assert own.shares.held is not None
        teacher = predictor(own.coupling.model, threads=own.settings.threads)
        also = () if own.settings.metric is None else (own.settings.metric,)
        return Evaluator(own.shares.held, also=also, teacher=teacher, output=own.settings.output_name)

    @cached_property
    def _evidence(self) -> Evidence:
        """What the criteria need beside the weights, all of it from one pass over the samples."""
        jobs = (open_job(replace(self._own.settings, ratio=0.5, criterion=spec)) for spec in self._criteria)
        wanted = frozenset().union(*(stage.needs for job in jobs for stage in job.criteria))
        if not wanted:
            return Evidence()
        own = self._own
        assert own.shares.fitting is not None
        samples = own.shares.fitting
        names = sorted(map(repr, wanted))
        path = own.shelf.file("evidence", names, ".npz", lambda path: self._measure(wanted, samples, path))
        return _read_evidence(path, wanted)

    def _measure(self, wanted: frozenset[Statistic], samples: Samples, path: Path) -> None:
        own = self._own.settings
        self._step("measuring activations")
        found = gather(self._own.coupling, samples, wanted, threads=own.threads, seed=own.seed)
        _write_evidence(path, found, [group.name for group in self._own.coupling.structure.groups])

    def _latency(self, config: Config, pace: Pace) -> dict[str, Any]:
        """The model in turns with the source, alone on this machine among the processes of the sweep."""
        path = self.path(config)
        self._step("waiting to measure latency")
        with self._own.shelf.alone(pace.lock):
            self._step("measuring latency")
            return paced(self._source_file, path, pace, self._own.coupling)

    @cached_property
    def _source_file(self) -> Path:
        """The source as a file that ONNX Runtime loads."""
        model = self._own.coupling.model

        def make(path: Path) -> None:
            save_model(replace(model, external=()), path)

        return self._own.shelf.file("source", "", ".onnx", make)


def job_of(settings: Settings, config: Config) -> Job:
    """The settings of one way of pruning.

    Raises:
        UsageError: an unknown name, or a number out of range.
    """
    own: dict[str, Any] = {
        config.target: config.amount,
        "criterion": config.criterion,
        "repair": config.repair,
    }
    if config.quantize != NONE:
        own["quantize"] = config.quantize
    return open_job(replace(settings, **own, include=config.layers or settings.include))


def check_layers(coupling: Coupling, config: Config, settings: Settings) -> None:
    """See that globs match something.

    Raises:
        UsageError: one does not.
    """
    select(coupling.structure, include=config.layers or settings.include, exclude=settings.exclude)


def _indices(kept: Mapping[str, list[int]]) -> dict[str, Indices]:
    return {name: np.array(units, np.int64) for name, units in kept.items()}


def _about(path: Path) -> Path:
    return path.with_suffix(".account.json")


def _write_evidence(path: Path, found: Evidence, groups: Iterable[str]) -> None:
    """Every statistic of every group, in one file that is there as a whole or not at all."""
    arrays: dict[str, Floats] = {}
    index: dict[str, dict[str, list[str]]] = {}
    for statistic, look in found.looks.items():
        own = index.setdefault(repr(statistic), {})
        for group in groups:
            own[group] = []
            for values in look(group):
                own[group].append(f"a{len(arrays)}")
                arrays[own[group][-1]] = np.asarray(values)
    layers = {group: [list(names) for names in own] for group, own in found.layers.items()}
    about = {"index": index, "layers": layers, "samples": found.samples, "description": found.description}
    with replacing(path) as (file,):
        np.savez(file, **{"about": np.array(json.dumps(about)), **arrays})  # type: ignore[arg-type]


def _read_evidence(path: Path, wanted: Iterable[Statistic]) -> Evidence:
    with np.load(path) as file:
        about = json.loads(str(file["about"]))
        arrays = {name: file[name] for name in file.files if name != "about"}
    index = about["index"]

    def look_of(own: Mapping[str, list[str]]) -> Any:
        return lambda group: tuple(arrays[name] for name in own[group])

    looks = {statistic: look_of(index[repr(statistic)]) for statistic in wanted}
    layers = {group: tuple(map(tuple, own)) for group, own in about["layers"].items()}
    return Evidence(looks, layers, about["samples"], about["description"])
