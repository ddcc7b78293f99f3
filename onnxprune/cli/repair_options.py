"""Options about the repair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from onnxprune.cli.options import option

REPAIR = "Repair: accuracy without training"


@dataclass(frozen=True)
class RepairOptions:
    """What is won back without training."""

    repair: Annotated[
        str | None,
        option(
            REPAIR,
            "--repair",
            metavar="NAME",
            help="Let the weights that are left make up for those that went: merge or bias (with or without "
            "--data), lstsq or obs (with --data), auto (the strongest that the data allow), none. By default "
            "auto with --data, else none.",
        ),
    ] = None
