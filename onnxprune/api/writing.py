"""Results as files, or weighed where none is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import file_digest
from pathlib import Path

from onnxprune.errors import OutputError
from onnxprune.model import Model
from onnxprune.model.files import alone
from onnxprune.model.naming import quoted
from onnxprune.model.save import data_path, save_together
from onnxprune.report import measure


def check_apart(output: Path, *given: object) -> None:
    """Refuse an output that would replace another file which the run reads.

    Args:
        output: where the result shall go.
        given: what may be the path of a file, such as samples and preprocessing.

    Raises:
        OutputError: it is such a file, by whatever name or link.
    """
    for used in given:
        if not isinstance(used, str | os.PathLike):
            continue
        for target in (output, data_path(output)):
            with suppress(OSError, ValueError):
                if target.samefile(used):
                    raise OutputError(
                        f"{quoted(target)} is read by this run, and never overwritten.",
                        hint="Choose another output.",
                    )


def written(model: Model, path: Path | None) -> Model:
    """The model with its file's size and digest; without a path, with the size that it would have.

    Args:
        model: to write.
        path: where, None for nowhere.

    Raises:
        OutputError: it cannot be written there.
    """
    (saved,) = written_together((model, path))
    return saved


def written_together(*models: tuple[Model, Path | None]) -> list[Model]:
    """Models with their files' sizes and digests, all of them written or none; in one folder.

    Args:
        models: pairs of a model and where it goes, None for nowhere.

    Raises:
        OutputError: one cannot be written there.
    """
    saved = iter(save_together([(model, path) for model, path in models if path is not None]))
    found = []
    for model, path in models:
        if path is None:
            found.append(replace(model, nbytes=measure.file_bytes(model), sha256=""))
        else:
            own = next(saved)
            found.append(replace(model, path=path, nbytes=own.nbytes, sha256=own.sha256))
    return found


@contextmanager
def unchanged(*models: Model | None) -> Iterator[None]:
    """Let nobody replace files of this run for a while, such as until the reports on them are written.

    Args:
        models: that ``written`` has written; others do not matter.

    Raises:
        OutputError: another run has replaced one already.
    """
    ours = {model.path: model for model in models if model and model.path and model.sha256}
    if not ours:
        yield
        return
    with alone(next(iter(ours)).parent):
        for path, model in ours.items():
            if not _is_ours(path, model):
                raise OutputError(
                    f"{quoted(path)} was replaced by another run before this one had ended.",
                    hint="Give runs at the same time their own outputs.",
                )
        yield


@contextmanager
def at_risk(*models: Model | None) -> Iterator[None]:
    """Remove the files of models again where what follows fails: a run that fails leaves no output.

    Args:
        models: that ``written`` has written; others do not matter.
    """
    try:
        yield
    except BaseException:
        for model in filter(None, models):
            _take_back(model)
        raise


def _take_back(model: Model) -> None:
    if model.path is None or not model.sha256 or not _is_ours(model.path, model):
        return
    with suppress(OSError):
        if model.path.stat().st_size != model.nbytes:
            data_path(model.path).unlink()
        model.path.unlink()


def _is_ours(path: Path, model: Model) -> bool:
    """Whether a file is the one that was written, and not that of another run meanwhile."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest() == model.sha256
    except OSError:
        return False
