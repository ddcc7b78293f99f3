"""Time and memory of the whole command against the size of the graph; operator sets and element types.

    python benchmarks/scale.py [--folder FOLDER] [--cache FOLDER] [--quick]

Generates graphs of many nodes, layers and branches, and models with external data of up to 3 GB, prunes
them by the command line and deletes them again. FOLDER must have room for about 1.4 times the largest. What
was measured is kept in the cache, a file for each case, so that an interrupted run goes on; remove ``scale``
there to measure again. ``--quick`` leaves out the largest sizes and writes nothing; otherwise writes
``docs/benchmarks/scale.md`` and ``scale.png``.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import onnx
from datasets import CACHE
from harness import PAGES, measure, prune, table, write_page
from kept import Kept
from onnx import ModelProto
from scaling import element_types, growing, large, opsets
from scaling.outcomes import RATIO, Outcome, outcome

Figures = dict[str, Any]
SHORT, RUNS = 3.0, 3
"""Commands below so many seconds are run so often, and the quickest counts."""
COMMON = ("--ratio", str(RATIO), "--threads", "1")
MEGA = 1_000_000
NOISE = {"seconds": 0.2, "peak": 0.02}


def _saved(make: Callable[[int], ModelProto], path: Path, size: int) -> None:
    onnx.save(make(size), path)


@dataclass(frozen=True)
class Series:
    """Models that differ in size alone.

    Attributes:
        unit: of the sizes.
        sizes: ascending.
        write: writes the model of a size.
        options: of the command, beside the ratio.
    """

    unit: str
    sizes: tuple[int, ...]
    write: Callable[[Path, int], object]
    options: tuple[str, ...] = ()


BYTES = (10 * MEGA, 300 * MEGA, 3000 * MEGA)
SERIES: Mapping[str, Series] = {
    "residual blocks": Series("nodes", (100, 1_000, 10_000), partial(_saved, growing.residual_chain)),
    "chain": Series("layers", (10, 100, 1_000), partial(_saved, growing.chain)),
    "concatenation": Series("branches", (2, 20, 200), partial(_saved, growing.branches)),
    "external data": Series("MB", BYTES, large.write),
    "the same, `--no-verify`": Series("MB", BYTES, large.write, ("--no-verify",)),
}


def run(name: str, size: int, folder: Path | None) -> Figures:
    """Write a model, prune it, delete it.

    It is written by a process of its own, since the peak of a child is never below that of its parent.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / "model.onnx"
        measure([sys.executable, __file__, "--make", path, "--series", name, "--size", str(size)])
        nbytes = sum(file.stat().st_size for file in path.parent.iterdir())
        tries: list[Figures] = []
        while not tries or (len(tries) < RUNS and tries[0]["seconds"] < SHORT):
            output = Path(scratch) / "pruned.onnx"
            measured, report = prune(path, output, *COMMON, *SERIES[name].options)
            before, after = report["totals"]["params"]
            check = report["verification"].get("masked_equivalence") or {}
            tries.append(
                {
                    "bytes": nbytes,
                    "left": after / before,
                    "seconds": measured.processor_seconds,
                    "peak": measured.peak_bytes,
                    "error": check.get("max_relative_error"),
                    "passed": check.get("passed"),
                }
            )
    return min(tries, key=lambda figures: figures["seconds"])


def growth(sizes: Sequence[float], values: Sequence[float], noise: float) -> str:
    """The exponent by which a quantity grows beyond what it is at the smallest size; 1 is a straight line.

    Args:
        sizes: three of them, ascending.
        values: at these sizes.
        noise: share of the first value that the second has to be above it, or the exponent tells nothing.
    """
    second, third = values[1] - values[0], values[2] - values[0]
    if second < noise * values[0]:
        return "–"
    spread = (sizes[2] - sizes[0]) / (sizes[1] - sizes[0])
    return f"{math.log(max(third, 1e-9) / second) / math.log(spread):.2f}"


def curves(found: Mapping[str, Mapping[int, Figures]]) -> str:
    """A row for each size of each series."""
    rows = []
    for name, series in SERIES.items():
        for size in series.sizes:
            title = f"{name}, {size // (MEGA if series.unit == 'MB' else 1):,} {series.unit}"
            one = found[name].get(size)
            if one is None:
                rows.append([title, *["not measured"] * 5])
                continue
            error = "not run" if one["error"] is None else f"{one['error']:.1e}"
            rows.append(
                [
                    title,
                    f"{one['bytes'] / MEGA:,.1f}",
                    f"{one['left']:.3f}",
                    f"{one['seconds']:.2f}",
                    f"{one['peak'] / MEGA:,.0f}",
                    f"**failed** ({error})" if one["passed"] is False else error,
                ]
            )
    header = ["model", "file, MB", "parameters left", "processor seconds", "peak memory, MB", "error"]
    return table(header, rows)


def exponents(found: Mapping[str, Mapping[int, Figures]]) -> str:
    """How time and memory grow from the middle to the largest size."""
    rows = []
    for name, by_size in found.items():
        if len(by_size) == 3:
            figures = list(by_size.values())
            exponent = [growth(list(by_size), [f[k] for f in figures], n) for k, n in NOISE.items()]
            rows.append([name, SERIES[name].unit, *exponent])
    return table(["model", "by", "time", "memory"], rows)


def draw(found: Mapping[str, Mapping[int, Figures]], path: Path) -> None:
    """Both curves, sizes as multiples of the smallest."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), dpi=90)
    for name, by_size in found.items():
        if not by_size:
            continue
        sizes = [size / min(by_size) for size in by_size]
        label = f"{name} ({SERIES[name].unit})".replace("`", "")
        left.loglog(sizes, [one["seconds"] for one in by_size.values()], marker="o", label=label)
        right.loglog(sizes, [one["peak"] / MEGA for one in by_size.values()], marker="o")
    left.set_ylabel("processor seconds")
    right.set_ylabel("peak memory, MB")
    for axes in (left, right):
        axes.set_xlabel("size, multiples of the smallest")
        axes.grid(alpha=0.3)
    left.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)


def operator_sets() -> str:
    """A row for each operator set."""
    rows = []
    for opset in range(opsets.OLDEST, opsets.NEWEST + 1):
        model = opsets.network(opset)
        one = outcome(model)
        rows.append([opset, model.ir_version, one.pruned, f"{one.left:.3f}", _verified(one)])
    return table(["operator set", "IR version", "layers cut", "parameters left", "error"], rows)


def types() -> list[list[str]]:
    """Use, element type, layers cut and what was verified, for each of the types."""
    rows = []
    for use, (make, dtypes) in element_types.TABLE.items():
        for dtype in dtypes:
            model = make(dtype)
            one = outcome(model)
            if not one.verified:
                one = replace(one, pruned=outcome(model, verify=False).pruned)
            rows.append([use, dtype.name, str(one.pruned or "none"), _verified(one)])
    return rows


def grouped(rows: Sequence[Sequence[str]]) -> str:
    """A row for all types of a use that fare alike."""
    names: dict[tuple[str, str, str], list[str]] = {}
    for use, name, cut, verified in rows:
        names.setdefault((use, cut, verified), []).append(name)
    found = [[use, ", ".join(same), cut, verified] for (use, cut, verified), same in names.items()]
    return table(["use", "element types", "layers cut", "error"], found)


def _verified(one: Outcome) -> str:
    if one.verified and one.error is not None:
        return f"{one.error:.1e}"
    reason = next((short for part, short in REASONS.items() if part in one.words), one.words)
    return f"not verified: {reason}"


REASONS = {
    "packed": "elements of less than a byte are carried through, never cut",
    "NOT_IMPLEMENTED": "ONNX Runtime has no kernel; the command refuses, and cuts with `--no-verify`",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where models are written; default: the system's choice")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where what was measured is kept")
    parser.add_argument("--quick", action="store_true", help="without the largest sizes; writes nothing")
    parser.add_argument("--kept-only", action="store_true", help="measure no sizes; show what is kept")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--series", choices=SERIES, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        SERIES[given.series].write(given.make, given.size)
        return
    with tempfile.TemporaryDirectory() as scratch:
        kept = Kept(Path(scratch) if given.quick else given.cache / "scale")
        found = figures_of_all(kept, given)
        parts = page(found, kept)
    if given.quick:
        print("\n\n".join(parts))
    else:
        draw(found, PAGES / "scale.png")
        write_page("scale", "Scale", *parts)


def figures_of_all(kept: Kept, given: argparse.Namespace) -> dict[str, dict[int, Figures]]:
    """By series and size, measured unless kept."""
    found: dict[str, dict[int, Figures]] = {name: {} for name in SERIES}
    for name, series in SERIES.items():
        for size in series.sizes[:-1] if given.quick else series.sizes:
            if given.kept_only and not kept.holds([name, size]):
                continue
            found[name][size] = kept.get([name, size], partial(run, name, size, given.folder))
            print(name, size, found[name][size], flush=True)
    return found


INTRODUCTION = (
    f"The whole command at `--ratio {RATIO} --threads 1`, verification included, in a fresh process. Time is "
    "processor seconds, of the program and of the system on its behalf: they depend less than the clock on "
    f"what else runs. Of commands below {SHORT:.0f} s the quickest of {RUNS} runs counts. Peak memory is the "
    "largest resident set, pages of mapped files included; Python and its imports take about 80 MB of it. "
    "Error: largest difference from the masked source, relative to the largest output."
)
MODELS = (
    "*Residual blocks* are Conv, Relu, Conv, Add on one stream; in the *chain* of Conv and Relu each layer "
    "is a group of its own; *concatenation* is so many convolutions side by side, concatenated, normalised "
    f"and read by one, twice over; all have {growing.CHANNELS} channels a layer. *External data* are "
    "convolutions and dense layers with their weights in a file of their own."
)
EXPONENTS = (
    "How time and memory grow from the middle to the largest size, beyond what the smallest takes: the "
    "exponent, 1 being a straight line; a dash where the middle size takes hardly more than the smallest."
)
OPSETS = (
    f"One network in every operator set from {opsets.OLDEST} to {opsets.NEWEST}, the newest that ONNX "
    "Runtime loads: others are refused with exit code 2. It has a residual sum, a split, a concatenation, "
    "and operators whose operands were attributes once."
)
TYPES = (
    "What can be cut, and is verified. ONNX Runtime has no bfloat16 kernels for the CPU; such networks are "
    "verified in float32."
)


def page(found: Mapping[str, Mapping[int, Figures]], kept: Kept) -> list[str]:
    """The parts of the page."""
    return [
        INTRODUCTION,
        MODELS,
        curves(found),
        "![Time and memory against size](scale.png)",
        EXPONENTS,
        exponents(found),
        "## Operator sets",
        OPSETS,
        kept.get(["operator sets"], operator_sets),
        "## Element types",
        TYPES,
        grouped(kept.get(["element types", "rows"], types)),
    ]


if __name__ == "__main__":
    main()
