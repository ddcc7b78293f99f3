"""Options about quantisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from onnxprune.cli.options import option

QUANTIZE = "Quantisation"


@dataclass(frozen=True)
class RangesOptions:
    """How ranges are found."""

    ranges: Annotated[
        str,
        option(
            QUANTIZE,
            "--ranges",
            metavar="NAME",
            help="How int8 reads the ranges of activations off samples: minmax (default), entropy, "
            "percentile.",
        ),
    ] = "minmax"


@dataclass(frozen=True)
class QuantizeOptions(RangesOptions):
    """Whether, and to what."""

    quantize: Annotated[
        str | None,
        option(
            QUANTIZE,
            "--quantize",
            metavar="int8|fp16",
            help="Make a quantised copy of the result too, beside it as <name>.int8.onnx; int8 of "
            "convolutions needs --data.",
        ),
    ] = None
