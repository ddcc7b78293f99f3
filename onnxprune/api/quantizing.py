"""Quantised copies: of one model, or of a pruning run's source and result."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxprune.api.arguments import Data
from onnxprune.api.holding import Shares, held_back
from onnxprune.api.job import Job
from onnxprune.api.sources import Source, open_source, opening
from onnxprune.api.writing import check_apart, written
from onnxprune.calibration import DEFAULT_COUNT, Samples, open_samples, split
from onnxprune.calibration.preprocess import Given
from onnxprune.model import Model
from onnxprune.model.save import check_output
from onnxprune.report import measure
from onnxprune.runtime.quantization import RANGES, Quantization, quantize_model

Step = Callable[[str], None]

HELD = 1000
"""Samples that the result is judged by where the user names no number."""


@dataclass(frozen=True)
class QuantizeResult:
    """A quantised model and what became of it.

    Attributes:
        model: the quantised model.
        account: kind, files and sizes, and figures on samples that were held back.
    """

    model: Model
    account: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The account as one JSON object."""
        return dict(self.account)


def quantize(
    model: Source,
    *,
    to: str = "int8",
    data: Data | None = None,
    preprocess: Given | None = None,
    samples: int | None = None,
    holdout: int | None = None,
    ranges: str = RANGES[0],
    output: str | os.PathLike[str] | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Step | None = None,
) -> QuantizeResult:
    """Quantise a model with the tools of ONNX Runtime; the source is never changed.

    Args:
        model: as for ``prune``.
        to: ``int8`` or ``fp16``.
        data: calibration samples, as for ``prune``; int8 of convolutions needs them.
        preprocess: what is done to stored samples.
        samples: how many are taken to read ranges off, None for 512.
        holdout: how many others the result is judged by, 0 for none.
        ranges: ``minmax``, ``entropy`` or ``percentile``.
        output: where to write; nothing is written without it.
        seed: of the choice of samples.
        threads: of ONNX Runtime where the result is judged.
        progress: called with the name of each step as it begins.

    Raises:
        InputError: model or samples cannot be used, or the tools fail on them.
        UsageError: an argument makes no sense.
        OutputError: the output cannot be written.
    """
    step = progress or (lambda _: None)
    step(opening(model))
    source = open_source(model)
    path = None if output is None else Path(output)
    if path is not None:
        check_output(path, source)
        check_apart(path, data, preprocess)
    fitting = held = None
    if data is not None:
        step("opening samples")
        fitting, held = _samples(source, data, preprocess, (samples, holdout), seed)
    step("quantising")
    found = quantize_model(source, Quantization(to, ranges, fitting))
    account = _account(to, ranges, fitting)
    if held is not None:
        step("measuring accuracy")
        account["accuracy"] = _stages(held, source, {to: found}, threads=threads)
    step("writing")
    saved = written(found, path)
    files = {"source_bytes": source.nbytes, "output": _file(saved, path)}
    return QuantizeResult(saved, {"source": _path(source), **account, **files})


@dataclass(frozen=True, eq=False)
class Copies:
    """Quantised copies of a run's source and result.

    Attributes:
        source: of the source.
        result: of the result.
    """

    source: Model
    result: Model

    def named(self, kind: str) -> dict[str, Model]:
        """Both by the names that the report gives them."""
        return {f"source+{kind}": self.source, f"pruned+{kind}": self.result}


def make_copies(source: Model, result: Model, shares: Shares, job: Job, step: Step) -> Copies | None:
    """Quantise source and result alike, where the job asks for it.

    Args:
        source: before pruning.
        result: after it, repaired.
        shares: samples, of which the fitting ones give the ranges.
        job: kind and ranges.
        step: told the name of the step.

    Raises:
        InputError: the tools fail on a model.
        UsageError: samples are needed that are not there.
    """
    own = job.settings
    if own.quantize is None:
        return None
    step("quantising")
    how = Quantization(own.quantize, own.ranges, shares.fitting)
    return Copies(quantize_model(source, how), quantize_model(result, how))


def judged(copies: Copies, source: Model, shares: Shares, job: Job) -> Mapping[str, Any]:
    """Figures of the copies on samples that were held back; empty without any.

    Args:
        copies: of source and result.
        source: that they are compared with.
        shares: samples.
        job: kind, output, threads.

    Raises:
        InputError: a copy does not run.
    """
    if shares.held is None:
        return {}
    own = job.settings
    named = copies.named(str(own.quantize))
    found = _stages(shares.held, source, named, threads=own.threads, output=own.output_name)
    return {name: found[name] for name in named if name in found}


def copy_account(
    saved: Model, copies: Copies, path: Path | None, job: Job, fitting: Samples | None
) -> dict[str, Any]:
    """The section of the report on the quantised result.

    Args:
        saved: the result's copy, as ``written`` returns it.
        copies: of source and result.
        path: where the copy is, None for nowhere.
        job: kind and ranges.
        fitting: the samples that ranges were read off.
    """
    account = _account(str(job.settings.quantize), job.settings.ranges, fitting)
    files = {"source_bytes": measure.file_bytes(copies.source), "output": _file(saved, path)}
    return {**account, **files}


def copy_path(beside: Path, kind: str) -> Path:
    """Where the quantised copy of a file goes."""
    return beside.with_name(f"{beside.stem}.{kind}{beside.suffix}")


def _account(kind: str, ranges: str, fitting: Samples | None) -> dict[str, Any]:
    static = kind == "int8" and fitting is not None
    return {
        "kind": kind,
        "form": "static" if static else "dynamic" if kind == "int8" else "float16",
        "ranges": ranges if static else None,
        "data": fitting.description if fitting is not None and static else None,
        "samples": fitting.count if fitting is not None and static else 0,
    }


def _samples(
    model: Model, data: Data, preprocess: Given | None, counts: tuple[int | None, int | None], seed: int
) -> tuple[Samples, Samples | None]:
    """Samples to read ranges off, and others to judge by."""
    count, wanted = counts[0] or DEFAULT_COUNT, HELD if counts[1] is None else counts[1]
    opened = open_samples(data, model, preprocess=preprocess, count=count + wanted, seed=seed)
    back = held_back(opened.count, count, wanted)
    return split(opened, back / opened.count, seed=seed) if back else (opened, None)


def _stages(
    held: Samples,
    source: Model,
    models: Mapping[str, Model],
    *,
    threads: int | None,
    output: str | None = None,
) -> dict[str, Any]:
    from onnxprune.api.accuracy import figures_by_stage  # brings ONNX Runtime with it

    return figures_by_stage(held, source, models, threads=threads, output=output)


def _file(model: Model, path: Path | None) -> dict[str, Any]:
    return {
        "path": None if path is None else str(path),
        "written": path is not None,
        "bytes": model.nbytes,
        "sha256": model.sha256 or None,
    }


def _path(model: Model) -> str | None:
    return None if model.path is None else str(model.path)
