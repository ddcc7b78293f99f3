"""Options about training within a pruning run, and about taking it in steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from onnxprune.cli.finetune_options import TRAIN
from onnxprune.cli.options import option

STEPS = "Steps: prune, repair, train, and again"


@dataclass(frozen=True)
class TuneOptions:
    """Whether what is left is trained, and on what."""

    finetune: Annotated[
        float | None,
        option(
            TRAIN,
            "--finetune",
            metavar="EPOCHS",
            help="Train what is left for so many epochs, behind every step where there are several: on the "
            "labels, if there are any, and on what the model before pruning says. Needs torch.",
        ),
    ] = None
    train_data: Annotated[
        str | None,
        option(
            TRAIN,
            "--train-data",
            metavar="SRC",
            help="Samples to train on, written as for --data; by default all of --data but those that are "
            "held back to measure the accuracy on.",
        ),
    ] = None
    last_epochs: Annotated[
        float | None,
        option(
            TRAIN,
            "--last-epochs",
            metavar="EPOCHS",
            help="Of the training behind the last step; by default those of --finetune.",
        ),
    ] = None


@dataclass(frozen=True)
class StepOptions:
    """In how many steps, and what comes before the first of them."""

    steps: Annotated[
        int | None,
        option(
            STEPS,
            "--steps",
            metavar="N",
            help="Go to the target in so many steps (default 1), each of which prunes, repairs and trains.",
        ),
    ] = None
    step_schedule: Annotated[
        str,
        option(
            STEPS,
            "--step-schedule",
            metavar="NAME",
            help="linear (default): every step removes equally many channels. geometric: an equal share of "
            "those left. layerwise: groups of layers take turns, by default one a step.",
        ),
    ] = "linear"
    sparsity: Annotated[
        str | None,
        option(
            STEPS,
            "--sparsity",
            metavar="NAME",
            help="Train before the first cut, so that channels can be spared: group_lasso shrinks all of the "
            "layers that are to be cut, growing those channels alone that are to go.",
        ),
    ] = None
    sparsity_strength: Annotated[
        float | None,
        option(
            STEPS,
            "--sparsity-strength",
            metavar="S",
            help="Factor of its penalty (default 1e-3 for group_lasso, 1 for growing).",
        ),
    ] = None
    sparsity_epochs: Annotated[
        float | None, option(STEPS, "--sparsity-epochs", metavar="EPOCHS", help="Of it (default 5).")
    ] = None
