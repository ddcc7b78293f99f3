"""Options about what pruning may cost, and how that is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from onnxprune.cli.options import TARGET, option

ACCURACY = "Accuracy: what pruning costs (with --data)"


@dataclass(frozen=True)
class AccuracyOptions:
    """What is measured on samples that nothing is fitted to, and what bounds the loss."""

    max_drop: Annotated[
        str | None,
        option(
            TARGET,
            "--max-drop",
            metavar="POINTS",
            help="Remove as much as goes while the accuracy (or --metric) falls by at most so many points; "
            "each layer's share follows from its sensitivity. Needs --data.",
        ),
    ] = None
    metric: Annotated[
        str | None,
        option(
            ACCURACY,
            "--metric",
            metavar="NAME",
            help="What --max-drop bounds: accuracy (default), top5, balanced_accuracy, log_loss; without "
            "labels agreement (default), sqnr.",
        ),
    ] = None
    output_name: Annotated[
        str | None,
        option(
            ACCURACY,
            "--output-name",
            metavar="NAME",
            help="The output with the scores of the classes; by default the first that can be one.",
        ),
    ] = None
    holdout: Annotated[
        int | None,
        option(
            ACCURACY,
            "--holdout",
            metavar="N",
            help="Samples held back to measure the result on, beside those of --samples: by default 200 to "
            "1,000 by the size of the model, 2,000 with --max-drop; 0 for none.",
        ),
    ] = None
    cache: Annotated[
        str | None,
        option(
            ACCURACY,
            "--cache",
            metavar="FOLDER|off",
            help="Where --max-drop and --latency keep what they measure of single layers; by default the "
            "user's cache folder.",
        ),
    ] = None
