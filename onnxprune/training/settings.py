"""How a model is trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from math import isfinite
from types import MappingProxyType
from typing import Any

from onnxprune.errors import UsageError
from onnxprune.training.augmentation import parse_augment

OPTIMIZERS: Mapping[str, float] = MappingProxyType({"sgd": 0.02, "adamw": 5e-4})
"""The optimisers and the peak learning rate that each of them gets where none is given."""

DISTILLED: Mapping[str, float] = MappingProxyType({"sgd": 0.004, "adamw": 5e-4})
"""The same where there is a teacher. Its loss is curved more than that of labels: half an epoch at 0.004
brings a repaired ResNet nearer to its teacher, at 0.008 hardly or not (docs/benchmarks/distillation.md)."""

SCHEDULES = ("cosine", "onecycle", "constant")
PRECISIONS = ("auto", "fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda")
KEEP = ("best", "last")


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained; every value is checked.

    Attributes:
        epochs: passes over the training data, a fraction of one too; 0 for none.
        batch: samples a step, over all processes together.
        optimizer: ``sgd`` (Nesterov, momentum 0.9) or ``adamw``.
        lr: largest learning rate; None for the usual one of the optimiser, which is smaller with a teacher.
        weight_decay: on weights; biases and normalisations have none.
        schedule: of the learning rate: ``cosine`` falls to zero, ``onecycle`` rises and falls (Smith and
            Topin 2017, arXiv 1708.07120), ``constant``.
        warmup: epochs in which the learning rate rises to the largest one; at most half of all.
        label_smoothing: share of a label that is spread over all classes.
        mixup: parameter of the beta distribution by which samples are mixed, 0 for none (Zhang et al. 2018,
            arXiv 1710.09412).
        cutmix: the same for boxes of an image that are put into another, 0 for none (Yun et al. 2019,
            arXiv 1905.04899); with both, a coin decides in each step.
        augment: changes of images, as ``parse_augment`` reads them: ``none``, ``cifar``, ``flip,crop=4``.
        ema: decay of the moving average of weights that is validated and kept, 0 for none.
        swa: share of the training, at its end, in which that average is no moving one but the plain one of
            all steps since that share began (Izmailov et al. 2018, arXiv 1803.05407); 0 for none.
        clip: largest norm of all gradients together, 0 for no bound.
        distill: weight of the teacher's loss beside that of the labels, 0 to 1; None for 0.9 with labels and
            1 without. It means something only where there is a teacher.
        temperature: of the distillation (Hinton et al. 2015, arXiv 1503.02531).
        mirror: whether the teacher sees each image mirrored too, and what it says of both is averaged.
        features: globs of inner values that are to be like the teacher's; ``("auto",)`` for the last one of
            each shape that pruning has left, if the teacher is the model before pruning; none for ``()``.
        feature_weight: of the mean of their losses, each relative to the mean square of the teacher's value.
        batch_norm: whether convolutions that have lost their batch normalisation get one while training.
        precision: ``fp32``, ``bf16`` or ``auto``.
        device: ``cpu``, ``cuda`` or ``auto``.
        validation: share of the training data that is held back to choose the best epoch.
        keep: the ``best`` epoch on what is held back, or the ``last`` one, whatever is measured there.
        seed: of every random choice.
        threads: of torch; None leaves the choice to it.
        save_every: seconds between checkpoints within an epoch.
    """

    epochs: float = 10.0
    batch: int = 128
    optimizer: str = "sgd"
    lr: float | None = None
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    warmup: float = 0.5
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    augment: str = "none"
    ema: float = 0.998
    swa: float = 0.0
    clip: float = 0.0
    distill: float | None = None
    temperature: float = 4.0
    mirror: bool = False
    features: tuple[str, ...] = ("auto",)
    feature_weight: float = 100.0
    batch_norm: bool = True
    precision: str = "auto"
    device: str = "auto"
    validation: float = 0.1
    keep: str = "best"
    seed: int = 0
    threads: int | None = None
    save_every: float = 60.0

    def __post_init__(self) -> None:
        for name, bounds in _BOUNDS.items():
            _check_number(name, getattr(self, name), *bounds)
        for name, choices in _CHOICES.items():
            _check_choice(name, getattr(self, name), choices)
        object.__setattr__(self, "features", tuple(self.features))
        parse_augment(self.augment)

    @property
    def peak_lr(self) -> float:
        """The largest learning rate."""
        return OPTIMIZERS[self.optimizer] if self.lr is None else self.lr

    def with_teacher(self) -> TrainSettings:
        """These settings with the usual learning rate of distillation where none is given."""
        return self if self.lr is not None else replace(self, lr=DISTILLED[self.optimizer])

    def to_dict(self) -> dict[str, Any]:
        """The settings as one JSON object."""
        return {**asdict(self), "features": list(self.features)}


_NO_BOUND = float("inf")

_BOUNDS: Mapping[str, tuple[float, float, str]] = {
    "epochs": (0.0, _NO_BOUND, "0 or more"),
    "batch": (1, _NO_BOUND, "1 or more"),
    "lr": (0.0, _NO_BOUND, "above 0; 0.02 is a usual one for sgd"),
    "weight_decay": (0.0, _NO_BOUND, "0 or more"),
    "warmup": (0.0, _NO_BOUND, "0 or more epochs"),
    "label_smoothing": (0.0, 0.99, "from 0 to below 1; 0.1 is usual"),
    "mixup": (0.0, _NO_BOUND, "0 for none; 0.2 is usual"),
    "cutmix": (0.0, _NO_BOUND, "0 for none; 1 is usual"),
    "ema": (0.0, 0.999999, "0 for none; 0.998 is usual"),
    "swa": (0.0, 1.0, "a share from 0 to 1; 0.5 for the second half"),
    "clip": (0.0, _NO_BOUND, "0 for no bound; 1 is usual"),
    "distill": (0.0, 1.0, "from 0 to 1"),
    "temperature": (1e-3, 1e3, "above 0; 4 is usual"),
    "feature_weight": (0.0, _NO_BOUND, "0 or more"),
    "validation": (0.0, 0.9, "a share from 0 to 0.9"),
    "seed": (0, 2**63 - 1, "0 or more"),
    "threads": (1, _NO_BOUND, "1 or more"),
    "save_every": (0.0, _NO_BOUND, "0 or more seconds"),
}
"""Least and largest value of each number, and how that is said."""

_CHOICES: Mapping[str, Collection[str]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "device": DEVICES,
    "keep": KEEP,
}


def option_name(name: str) -> str:
    """What a setting is called on the command line."""
    return f"--{name.replace('_', '-')}"


def _check_number(name: str, value: float | None, least: float, most: float, wanted: str) -> None:
    if value is None:
        return
    whole = name in ("batch", "seed", "threads")
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not fits or not isfinite(value) or not least <= value <= most or (name == "lr" and value == 0):
        raise UsageError(f"{option_name(name)} {value} makes no sense.", hint=f"Give {wanted}.")


def _check_choice(name: str, value: str, choices: Collection[str]) -> None:
    if value in choices:
        return
    close = get_close_matches(str(value).lower(), choices, n=1)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    raise UsageError(
        f"{option_name(name)} {value!r} is unknown.", hint=f"{guess}Known: {', '.join(choices)}."
    )
