"""One training from beginning to end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from onnxprune.calibration import Samples
from onnxprune.calibration.model_inputs import ModelInput, model_inputs
from onnxprune.errors import UsageError
from onnxprune.model import Model
from onnxprune.torch_graph import write_back
from onnxprune.training.augmentation import parse_augment
from onnxprune.training.checkpoint import Checkpoint, run_key
from onnxprune.training.division import Division, divide
from onnxprune.training.features import AUTO
from onnxprune.training.images import Augmenter, frames_of
from onnxprune.training.journal import Journal, summary_writer
from onnxprune.training.loop import Loop, Parts
from onnxprune.training.mixing import Mixing
from onnxprune.training.penalty import Penalty
from onnxprune.training.pool import Feeder, read
from onnxprune.training.precision import computes_in_half
from onnxprune.training.processes import Processes, joined
from onnxprune.training.result import Trained, Watch
from onnxprune.training.settings import TrainSettings
from onnxprune.training.shared_norm import share_statistics
from onnxprune.training.student import Runner, Student, make_student
from onnxprune.training.teaching import teaching_of
from onnxprune.training.validation import Validator
from onnxprune.training.verdict import Verdict, judge

_NOT_IN_KEY = ("save_every", "threads", "device")
"""Settings that change nothing about the result but its rounding: a run may go on elsewhere."""


@dataclass(frozen=True)
class Task:
    """What ``train`` was given."""

    model: Model
    samples: Samples
    settings: TrainSettings
    teacher: Model | None
    validation: Samples | None
    folder: Path | None
    restart: bool
    tensorboard: bool
    penalty: Penalty | None
    watch: Watch | None


def run_training(task: Task) -> Trained:
    """See ``onnxprune.training.train``."""
    if task.teacher is not None:
        task = replace(task, settings=task.settings.with_teacher())
    if task.penalty is not None and task.settings.features == (AUTO,):
        # what is to go would be held by its own values
        task = replace(task, settings=replace(task.settings, features=()))
    device = _device(task.settings)
    runner = Runner(device, computes_in_half(task.settings.precision, device))
    with _backends(task.settings.threads), torch.random.fork_rng(_cards(device)), joined(device) as processes:
        return _trained(task, runner, processes)


def _trained(task: Task, runner: Runner, processes: Processes) -> Trained:
    step = task.watch if task.watch is not None and processes.leads else _nothing
    step("preparing the training")
    if task.tensorboard:
        summary_writer()  # what is missing is told before anything is made
    division = divide(task.samples, task.validation, task.settings)
    inputs = model_inputs(task.model)
    feeder = Feeder(division.training, [own.name for own in inputs], runner.device)
    student, batch = _student(task, feeder, runner, processes)
    loop, parts = _loop(task, (division, inputs), feeder, student, (runner, processes), batch)
    start = {k: v.detach().to("cpu", copy=True) for k, v in student.module.state_dict().items()}
    state = processes.told(parts.checkpoint.load(restart=task.restart) if processes.leads else None)
    if state is not None:
        loop.restore(state)
    step("training")
    stopped_by = loop.run()
    parts.journal.close()
    account = _account(task, division, loop, (runner, processes), student)
    verdict = Verdict(loop.best)
    judged = task.settings.keep == "best" or not loop.best
    if task.penalty is None and judged and loop.steps:
        seen = None if division.seen is None else read(division.seen, [own.name for own in inputs])
        on_seen = None if seen is None else Validator(seen, student, parts.teaching, runner, processes)
        verdict = judge(loop.history, loop.best, (start, loop.best_state), student.module, on_seen)
    notes = (*student.notes, *_notes(loop), *filter(None, (verdict.note,)))
    model = task.model
    if verdict.best:
        student.module.load_state_dict(loop.best_state)
        model = write_back(student.module.cpu().eval(), task.model)
    history, metric = tuple(loop.history), parts.validator.metric
    return Trained(model, history, verdict.best, metric, account, notes, stopped_by)


def _student(task: Task, feeder: Feeder, runner: Runner, processes: Processes) -> tuple[Student, int]:
    """What is trained, and the batch: no larger than the data, and as the graph can take it."""
    settings = task.settings
    batch = min(settings.batch, feeder.count)
    if batch < processes.count:
        raise UsageError(
            f"{processes.count} processes cannot share batches of {batch} samples.",
            hint="Give a larger --batch, or start fewer processes.",
        )
    student = make_student(
        task.model, task.teacher, feeder.first, settings, runner, rank_batch=batch // processes.count
    )
    if processes.count > 1:
        share_statistics(student.module)
        processes.same([*student.module.parameters(), *student.module.buffers()])
    each = (student.module.batch_size or 1) * processes.count
    if student.module.batch_size and feeder.count < each:
        raise UsageError(
            f"The model takes {student.module.batch_size} samples at a time, and there are {feeder.count}.",
            hint="Give more samples, or export the model with a dynamic batch.",
        )
    if student.module.batch_size:
        batch = min(-(-batch // each), feeder.count // each) * each
    return student, batch


def _loop(
    task: Task,
    data: tuple[Division, tuple[ModelInput, ...]],
    feeder: Feeder,
    student: Student,
    where: tuple[Runner, Processes],
    batch: int,
) -> tuple[Loop, Parts]:
    """The loop and what it works with."""
    (division, inputs), (runner, processes), settings = data, where, task.settings
    names = [own.name for own in inputs]
    augment = parse_augment(settings.augment)
    frames = frames_of(inputs, feeder.first, division.black, augment)
    teaching = teaching_of(student, runner, frames, mirror=settings.mirror)
    validator = Validator(read(division.validation, names), student, teaching, runner, processes)
    folder = task.folder if processes.leads else None
    parts = Parts(
        student,
        feeder,
        Augmenter(augment, frames, feeder.count, settings.seed, runner.device),
        Mixing(settings, frames, [x.is_floating_point() for x in feeder.first.inputs]),
        teaching,
        validator,
        runner,
        processes,
        Checkpoint(folder, "" if folder is None else _key(task, division)),
        Journal(folder, validator.metric, tensorboard=task.tensorboard),
        task.penalty,
        task.watch if processes.leads else None,
    )
    return Loop(parts, settings, batch), parts


def _key(task: Task, division: Division) -> str:
    about = {k: v for k, v in task.settings.to_dict().items() if k not in _NOT_IN_KEY}
    about["penalty"] = None if task.penalty is None else _about(task.penalty)
    models = {"model": task.model, "teacher": task.teacher}
    samples = {"training": division.training, "validation": division.validation}
    return run_key(models, samples, about)


def _about(penalty: Penalty) -> Any:
    return getattr(penalty, "account", None) or type(penalty).__qualname__


def _account(
    task: Task, division: Division, loop: Loop, where: tuple[Runner, Processes], student: Student
) -> Mapping[str, Any]:
    runner, processes = where
    return {
        "settings": task.settings.to_dict(),
        "teacher": None if task.teacher is None else str(task.teacher.path or "a model"),
        "penalty": None if task.penalty is None else _about(task.penalty),
        "device": _device_name(runner.device),
        "precision": "bf16" if runner.half else "fp32",
        "processes": processes.count,
        "torch": torch.__version__,
        "data": division.training.description,
        "samples": {"training": division.training.count, "validation": division.validation.count},
        "batch": loop.batch,
        "steps": loop.steps,
        "peak_lr": task.settings.peak_lr,
        "distill": student.objective.distill,
        "features": list(student.features),
        "inserted_batch_norms": len(student.module.inserted),
        "resumed_at_step": loop.resumed,
        "seconds": loop.seconds,
    }


def _notes(loop: Loop) -> Iterator[str]:
    """What the user should know."""
    if loop.diverged:
        yield (
            f"training diverged in epoch {len(loop.history) - 1} and ended there; a smaller --lr or "
            "--clip 1 helps"
        )


def _device(settings: TrainSettings) -> torch.device:
    """The device of this process.

    Raises:
        UsageError: CUDA is asked for and not there.
    """
    there = torch.cuda.is_available()
    if settings.device == "cuda" and not there:
        raise UsageError("--device cuda: torch finds no CUDA device.", hint="Take --device cpu.")
    if settings.device == "cpu" or not there:
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _cards(device: torch.device) -> list[int]:
    return [] if device.index is None else [device.index]


@contextmanager
def _backends(threads: int | None) -> Iterator[None]:
    """Let torch use so many threads, and look for fast convolutions, for a while."""
    before = torch.get_num_threads(), torch.backends.cudnn.benchmark
    if threads is not None:
        torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.backends.cudnn.benchmark = before[1]


def _nothing(name: str) -> None:
    """Progress that nobody watches."""
