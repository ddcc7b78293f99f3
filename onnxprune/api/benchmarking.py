"""What models cost to run, one alone or several side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from onnxprune.api.planning import Step
from onnxprune.api.sources import Source, open_source
from onnxprune.coupling import couple
from onnxprune.errors import UsageError
from onnxprune.frontends import is_foreign
from onnxprune.model import Model, save_model
from onnxprune.runtime.benchmark import run_benchmark
from onnxprune.runtime.results import SECONDS, Benchmark, BenchSettings, Subject
from onnxprune.runtime.turns import Advance


def benchmark(
    models: Source | Sequence[Source],
    *,
    threads: int | Sequence[int] = 1,
    batch: int | Sequence[int] | None = None,
    providers: str | Sequence[str] = "cpu",
    shapes: Mapping[str, Sequence[int]] | None = None,
    seconds: float = SECONDS,
    profile: bool = False,
    seed: int = 0,
    progress: Step | None = None,
) -> Benchmark:
    """Measure models in ONNX Runtime, in turns, on random inputs.

    Args:
        models: one or several, each as for ``prune``; the others are compared with the first.
        threads: of ONNX Runtime; each of several is measured by itself.
        batch: batch sizes, None for the model's own, or 1 where it is open.
        providers: execution providers, such as ``"cpu"`` or ``"cuda"``.
        shapes: input name -> shape, where the model leaves sizes open.
        seconds: of timed runs, all settings together.
        profile: whether nodes are profiled too.
        seed: of the inputs and of the order of runs.
        progress: called with the name of each step as it begins.

    Raises:
        InputError: a model cannot be used, or does not run.
        UsageError: an argument makes no sense, or does not fit a model.
    """
    settings = BenchSettings(
        threads=_listed(threads),
        batch=() if batch is None else _listed(batch),
        providers=(providers,) if isinstance(providers, str) else tuple(providers),
        seconds=seconds,
        shapes={name: tuple(shape) for name, shape in (shapes or {}).items()},
        profile=profile,
        seed=seed,
    )
    several = isinstance(models, Sequence) and not isinstance(models, str | bytes)
    return measure_models(list(models) if several else [models], settings, progress=progress)


def measure_models(
    models: Sequence[Source],
    settings: BenchSettings,
    *,
    progress: Step | None = None,
    advance: Advance | None = None,
) -> Benchmark:
    """``benchmark`` with its arguments as settings.

    Args:
        models: one or more.
        settings: what is measured, and for how long.
        progress: called with the name of each step as it begins.
        advance: told how far a step is.

    Raises:
        InputError: a model cannot be used, or does not run.
        UsageError: the settings make no sense, or do not fit a model.
    """
    if not models:
        raise UsageError("There is no model to measure.", hint="Give one path or several.")
    settings.check()
    step = progress or (lambda _: None)
    step("loading")
    with subjects([(_name(source, place), source) for place, source in enumerate(models)]) as found:
        return run_benchmark(found, settings, step=step, advance=advance)


@contextmanager
def subjects(named: Sequence[tuple[str, Source]]) -> Iterator[list[Subject]]:
    """Models as the benchmark takes them: every one a file, if only for as long as it is measured.

    Args:
        named: (name, source) pairs.

    Raises:
        InputError: a source cannot be used.
    """
    with TemporaryDirectory() as folder:
        found = []
        for place, (name, source) in enumerate(named):
            model = open_source(source)
            path = _file_of(source, model)
            nbytes = model.nbytes
            if path is None:
                path = Path(folder) / f"{place}.onnx"
                nbytes = save_model(model, path)
            found.append(Subject(name, path, nbytes, couple(model)))
        yield found


def _file_of(source: Source, model: Model) -> Path | None:
    """The file that holds a model as it is; None where it was converted or lives in memory."""
    if isinstance(source, str | os.PathLike) and not is_foreign(source):
        return Path(source)
    path = source.path if isinstance(source, Model) and source.sha256 else None
    return path if path is not None and path.is_file() and not is_foreign(path) else None


def _name(source: Source, place: int) -> str:
    path = source if isinstance(source, str | os.PathLike) else getattr(source, "path", None)
    return f"model {place + 1}" if path is None else os.fspath(path)


def _listed(given: Any) -> tuple[int, ...]:
    return (given,) if isinstance(given, int) else tuple(given)
