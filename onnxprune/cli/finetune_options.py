"""Options about training, for the verbs that train."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from onnxprune.cli.options import flag, option

TRAIN = "Training"
TEACHER = "Distillation: learning from the model before pruning"
RUN = "Run: checkpoints and metrics"


@dataclass(frozen=True)
class LossOptions:
    """What is learned, and from whom."""

    teacher: Annotated[
        Path | None,
        option(
            TEACHER,
            "--teacher",
            metavar="MODEL",
            help="Model whose outputs are learned, usually the one before pruning. Without labels it is all "
            "that is learned.",
        ),
    ] = None
    distill: Annotated[
        float | None,
        option(
            TEACHER,
            "--distill",
            metavar="W",
            help="Weight of the teacher beside the labels, 0 to 1 (default 0.9; 1 without labels).",
        ),
    ] = None
    temperature: Annotated[
        float | None,
        option(
            TEACHER, "--temperature", metavar="T", help="Softens both before they are compared (default 4)."
        ),
    ] = None
    mirror: Annotated[
        bool | None,
        flag(
            TEACHER,
            "--mirror/--no-mirror",
            help="Show the teacher each image mirrored too, and learn the mean of what it says, where left "
            "and right mean nothing.",
        ),
    ] = None
    features: Annotated[
        list[str] | None,
        option(
            TEACHER,
            "--features",
            metavar="auto|none|GLOB",
            help="Inner values that are to be like the teacher's too: auto (default) for the last one of "
            "each shape that pruning has left as it was, or by name; narrower ones are left out. Repeatable.",
        ),
    ] = None
    feature_weight: Annotated[
        float | None,
        option(TEACHER, "--feature-weight", metavar="W", help="Weight of --features (default 100)."),
    ] = None


@dataclass(frozen=True)
class TrainOptions(LossOptions):
    """How training goes. Values that are not given are those of ``TrainSettings``."""

    batch: Annotated[
        int | None, option(TRAIN, "--batch", metavar="N", help="Samples a step (default 128).")
    ] = None
    optimizer: Annotated[
        str | None,
        option(TRAIN, "--optimizer", metavar="sgd|adamw", help="sgd (Nesterov, default) or adamw."),
    ] = None
    lr: Annotated[
        float | None,
        option(
            TRAIN,
            "--lr",
            metavar="R",
            help="Largest learning rate (default 0.02 for sgd, 0.004 with a teacher, 5e-4 for adamw).",
        ),
    ] = None
    weight_decay: Annotated[
        float | None,
        option(
            TRAIN,
            "--weight-decay",
            metavar="W",
            help="On weights, not on biases and normalisations (default 5e-4).",
        ),
    ] = None
    schedule: Annotated[
        str | None,
        option(
            TRAIN,
            "--schedule",
            metavar="NAME",
            help="Of the learning rate: cosine (default), onecycle, constant.",
        ),
    ] = None
    warmup: Annotated[
        float | None,
        option(
            TRAIN, "--warmup", metavar="EPOCHS", help="The learning rate rises for so long (default 0.5)."
        ),
    ] = None
    label_smoothing: Annotated[
        float | None,
        option(TRAIN, "--label-smoothing", metavar="S", help="Share of a label spread over all classes."),
    ] = None
    mixup: Annotated[
        float | None,
        option(TRAIN, "--mixup", metavar="A", help="Mix samples, by a beta distribution; 0.2 is usual."),
    ] = None
    cutmix: Annotated[
        float | None,
        option(
            TRAIN,
            "--cutmix",
            metavar="A",
            help="Put boxes of images into others; 1 draws their sizes evenly. Takes turns with --mixup.",
        ),
    ] = None
    augment: Annotated[
        str | None,
        option(
            TRAIN,
            "--augment",
            metavar="SPEC",
            help="Change images at random: flip,crop=4,cutout=8 in pixels, or cifar: flip,crop=4.",
        ),
    ] = None
    ema: Annotated[
        float | None,
        option(
            TRAIN, "--ema", metavar="D", help="Decay of the average of weights that is kept (default 0.998)."
        ),
    ] = None
    swa: Annotated[
        float | None,
        option(
            TRAIN,
            "--swa",
            metavar="SHARE",
            help="In this last share of the training average all steps alike, in place of --ema (default 0).",
        ),
    ] = None
    clip: Annotated[
        float | None,
        option(TRAIN, "--clip", metavar="N", help="Largest norm of the gradients (default none)."),
    ] = None
    batch_norm: Annotated[
        bool | None,
        flag(
            TRAIN,
            "--batch-norm/--no-batch-norm",
            help="Give convolutions whose batch normalisation was folded away one for the time of training "
            "(default), and fold it again.",
        ),
    ] = None
    precision: Annotated[
        str | None,
        option(
            TRAIN,
            "--precision",
            metavar="auto|fp32|bf16",
            help="auto (default): bf16 where the device is made for it.",
        ),
    ] = None
    device: Annotated[
        str | None,
        option(TRAIN, "--device", metavar="auto|cpu|cuda", help="auto (default): CUDA where there is one."),
    ] = None
    validation: Annotated[
        float | None,
        option(
            TRAIN,
            "--validation",
            metavar="SHARE",
            help="Of the training data, held back to choose the best epoch by (default 0.1, 5,000 at most).",
        ),
    ] = None
    validation_data: Annotated[
        str | None,
        option(TRAIN, "--validation-data", metavar="SRC", help="Other samples for that; never test data."),
    ] = None
    keep: Annotated[
        str | None,
        option(
            TRAIN,
            "--keep",
            metavar="best|last",
            help="The epoch whose weights are written: best (default) on what is held back, or last.",
        ),
    ] = None


@dataclass(frozen=True)
class RunOptions:
    """What a run keeps."""

    run_folder: Annotated[
        Path | None,
        option(
            RUN,
            "--run-folder",
            metavar="FOLDER",
            help="Keep metrics.csv here, and the checkpoint while it runs; by default a folder beside the "
            "output that goes when the run ends well.",
        ),
    ] = None
    restart: Annotated[
        bool, flag(RUN, "--restart", help="Begin anew where the folder holds a checkpoint of another run.")
    ] = False
    save_every: Annotated[
        float | None,
        option(RUN, "--save-every", metavar="SECONDS", help="Time between checkpoints within an epoch (60)."),
    ] = None
    tensorboard: Annotated[
        bool, flag(RUN, "--tensorboard", help="Write metrics for TensorBoard into --run-folder too.")
    ] = False


_ELSEWHERE = frozenset({"teacher", "validation_data"})


def train_settings(own: TrainOptions, **more: Any) -> dict[str, Any]:
    """The fields of ``TrainSettings`` that options give, as keywords.

    Args:
        own: options.
        more: further fields, None for those that are not given.
    """
    given = {field.name: getattr(own, field.name) for field in fields(own) if field.name not in _ELSEWHERE}
    return {name: value for name, value in {**given, **more}.items() if value is not None}
