"""Options that verbs share, in the groups that --help shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

ModelPath = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="The .onnx file; it is never changed.", show_default=False),
]


@dataclass(frozen=True)
class TargetOptions:
    """How much to remove."""

    ratio: Annotated[
        str | None,
        typer.Option(
            "--ratio", metavar="R", rich_help_panel="Target (one of them)",
            help="Remove the share R of the filters in every prunable layer. The usual start is 0.4; "
            "0 removes only channels that change nothing.",
        ),
    ] = None  # fmt: skip
    macs: Annotated[
        str | None,
        typer.Option(
            "--macs", metavar="0.5x|2G", rich_help_panel="Target (one of them)",
            help="Keep at most so many multiply-accumulates, as a share of the source or a number.",
        ),
    ] = None  # fmt: skip
    params: Annotated[
        str | None,
        typer.Option(
            "--params", metavar="0.5x|1M", rich_help_panel="Target (one of them)",
            help="Keep at most so many parameters.",
        ),
    ] = None  # fmt: skip
    size: Annotated[
        str | None,
        typer.Option(
            "--size", metavar="0.5x|10MB", rich_help_panel="Target (one of them)",
            help="Make the file at most so large.",
        ),
    ] = None  # fmt: skip
