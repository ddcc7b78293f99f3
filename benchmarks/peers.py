"""Torch-Pruning and onnxsim beside this package: the same networks, ratio and norm, in one run.

    python benchmarks/peers.py [--shared FOLDER] [--cache FOLDER] [--zoo FOLDER] [--latency] [--device cuda]
                               [--part 1/4] [--quick]

``--zoo`` names the exports that ``benchmarks/zoo.py`` makes (``ts_dyn``), whose rows need torchvision.
``--latency`` measures latencies that are not in the cache yet, which wants a machine that does nothing
else. Needs ``pip install "onnxprune[benchmarks]"``. Writes ``docs/benchmarks/peers.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from harness import table
from peer_cases import NETWORKS, PLAIN, RATIO, Network, attempt, latencies, pruned, seconds, slug, tuned
from pruners import PRUNERS, Task
from study import Figures, Study, shown, totals

from onnxprune import load_model


def accuracy_rows(study: Study, networks: Sequence[Network], *, measure: bool) -> list[list[str]]:
    """A row a network and method; the best accuracies of a network are bold."""
    rows = []
    for network in networks:
        source = network.file(study.shared)
        base = study.case(
            f"{network.name}_source",
            {"quick": study.quick},
            partial(study.measure, load_model(source), network.data),
        )
        parameters, macs = totals(load_model(source))
        rows.append(
            [
                network.title,
                "(source)",
                f"{parameters:,}",
                f"{macs / 1e6:.2f} M",
                "",
                f"{base['accuracy']:.2f}",
                "",
            ]
        )
        times = seconds(study, network, measure=measure) or {}
        for method in PRUNERS:
            found = pruned(study, network, method)
            if "error" in found:
                rows.append([network.title, method, f"fails: `{found['error']}`", "", "", "", ""])
                continue
            if found["parameters_left"] == 1:
                rows.append([network.title, method, "untouched", "", "", "", ""])
                continue
            after = tuned(study, network, method)
            rows.append(
                [
                    network.title,
                    method,
                    f"{found['parameters']:,} ({found['parameters_left']:.1%})",
                    f"{found['macs'] / 1e6:.2f} M ({found['macs_left']:.1%})",
                    spelled_seconds(times.get(method, {})),
                    f"{found['accuracy']:.2f}",
                    shown(after),
                ]
            )
    for network in networks:
        for column in (5, 6):
            own = [
                row
                for row in rows
                if row[0] == network.title and row[1] != "(source)" and row[column] not in _NONE
            ]
            best = max((float(row[column]) for row in own), default=0.0)
            for row in own:
                if float(row[column]) == best:
                    row[column] = f"**{row[column]}**"
    return rows


def ahead(study: Study, networks: Sequence[Network]) -> str:
    """Where another package does better than this one without data, figure by figure."""
    lines = []
    for network in networks:
        own, own_tuned = pruned(study, network, PLAIN[0]), tuned(study, network, PLAIN[0])
        for method in PLAIN[1:]:
            found, after = pruned(study, network, method), tuned(study, network, method)
            if "error" in found or found["parameters_left"] == 1:
                continue
            gains = {"points as pruned": found["accuracy"] - own["accuracy"]}
            if after is not None and own_tuned is not None:
                gains["points fine-tuned"] = after["accuracy"] - own_tuned["accuracy"]
            said = ", ".join(f"{gain:.2f} {what}" for what, gain in gains.items() if gain > 0)
            times = seconds(study, network, measure=False)
            if times is not None:
                less = times[PLAIN[0]]["seconds"] - sum(times[method].values())
                said += f"{', ' if said else ''}{less:.2f} s less" if less > 0 else ""
            macs = found["macs_left"] - own["macs_left"]
            if said:
                lines.append(f"- {network.title}, {method} ({macs:+.1%} of the MACs): {said}")
    return "\n".join(lines) if lines else "- nowhere"


def spelled_seconds(found: Mapping[str, Any]) -> str:
    """Seconds of the pruning, and of the export where there is one."""
    if not found:
        return "–"
    export = found.get("export_seconds")
    return f"{found['seconds']:.2f}" + ("" if export is None else f" + {export:.2f}")


def latency_rows(study: Study, networks: Sequence[Network], *, measure: bool) -> list[list[str]]:
    """A row a network: milliseconds of every method; the fastest is bold."""
    rows = []
    for network in networks:
        found = latencies(study, network, measure=measure)
        if found is None:
            continue
        best = min(found.values())
        cells = [found.get(method) for method in ("(source)", *PRUNERS)]
        rows.append(
            [
                network.title,
                *("–" if ms is None else f"**{ms:.3f}**" if ms == best else f"{ms:.3f}" for ms in cells),
            ]
        )
    return rows


def complete(study: Study, network: Network) -> bool:
    """Whether everything but fine-tuning is kept of a network."""
    names = ["source", *map(slug, PRUNERS)]
    return all((study.folder / f"{network.name}_{name}.json").is_file() for name in names)


def zoo_rows(study: Study, folder: Path | None) -> list[list[str]]:
    """A row a torchvision network: what each method leaves and how long it takes."""
    import zoo

    rows = []
    for name, network in zoo.NETWORKS.items():
        source = None if folder is None else folder / f"{name}_ts_dyn.onnx"
        row = [name]
        for method in PLAIN:
            case = f"zoo_{name}_{slug(method)}"
            if (source is None or not source.is_file()) and not (study.folder / f"{case}.json").is_file():
                break
            task = Task(
                source or Path(), partial(zoo.build, name), (3, network.pixels, network.pixels), RATIO
            )
            output = study.folder / "zoo.onnx"
            found = study.case(case, {"ratio": RATIO}, partial(attempt, task, method, output))
            output.unlink(missing_ok=True)
            row += zoo_cells(found)
        if len(row) > 1:
            rows.append(row)
    return rows


def zoo_cells(found: Figures) -> list[str]:
    """Parameters, MACs and seconds of one method."""
    if "error" in found:
        return ["fails", "", ""]
    if found["parameters_left"] == 1:
        return ["untouched", "", spelled_seconds(found)]
    return [f"{found['parameters_left']:.1%}", f"{found['macs_left']:.1%}", spelled_seconds(found)]


def failures(study: Study) -> list[str]:
    """What the packages said where they failed, network by network."""
    found = {}
    for path in sorted(study.folder.glob("*.json")):
        error = json.loads(path.read_text())["figures"].get("error")
        if error:
            found[path.stem.removeprefix("zoo_")] = error
    return [f"- {name}: `{error}`" for name, error in found.items()]


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--zoo", type=Path)
    own.add_argument("--latency", action="store_true")
    given, rest = own.parse_known_args(words)
    study = Study("peers", rest, about=(__doc__ or "").splitlines()[0])
    networks = [network for network in NETWORKS if network.file(study.shared).is_file()]
    if study.quick:
        networks = networks[:1]
    if study.untuned:
        networks = [network for network in networks if complete(study, network)]
    for network, method in study.share([(n, m) for n in networks for m in PRUNERS]):
        tuned(study, network, method)
    if study.partial:
        return
    page(study, networks, given.zoo, latency=given.latency or study.quick)


def page(study: Study, networks: Sequence[Network], zoo: Path | None, *, latency: bool) -> None:
    """The tables and what they mean."""
    heads = ["network", "method", "parameters left", "MACs left", "seconds", "accuracy, %", "fine-tuned, %"]
    rows = accuracy_rows(study, networks, measure=latency)
    parts = [_ABOUT.format(ratio=RATIO, **{n: version(p) for n, p in _VERSIONS.items()}), table(heads, rows)]
    if study.untuned:
        left_out = [network.title for network in NETWORKS if network not in networks]
        parts.append(_UNTUNED + (f" Left out for now: {'; '.join(left_out)}." if left_out else ""))
    parts += ["Where another package is ahead of `onnxprune` without data:", ahead(study, networks)]
    times = latency_rows(study, networks, measure=latency)
    if times:
        parts += ["## Latency", _LATENCY, table(["network", "(source)", *PRUNERS], times)]
    parts.append(study.figure(partial(draw, rows)))
    found = [] if study.quick else zoo_rows(study, zoo)
    if found:
        heads = [
            "network",
            *(f"{method}: {what}" for method in PLAIN for what in ("parameters", "MACs", "s")),
        ]
        parts += ["## Networks of torchvision", _ZOO, table(heads, found)]
    said = failures(study)
    if said:
        parts += ["## What failed", "\n".join(said)]
    study.page("Other pruners, side by side", *parts)


def draw(rows: Sequence[Sequence[str]], axes: Any) -> None:
    """Accuracy after fine-tuning, or before where there is none, a group of bars a network."""
    titles = list(dict.fromkeys(row[0] for row in rows))
    column = 5 if all(row[6] in _NONE for row in rows) else 6
    for place, method in enumerate(PRUNERS):
        heights = [
            next(
                (
                    float(row[column].strip("*"))
                    for row in rows
                    if row[:2] == [title, method] and row[column] not in _NONE
                ),
                np.nan,
            )
            for title in titles
        ]
        axes.bar(np.arange(len(titles)) + 0.16 * (place - 2), heights, 0.15, label=method)
    axes.set_xticks(range(len(titles)), [title.replace(", ", "\n") for title in titles], fontsize=7)
    axes.set_ylabel("accuracy, %, as pruned" if column == 5 else "accuracy after fine-tuning, %")
    axes.legend(fontsize=7, ncols=3)


_NONE = ("", "–")

_VERSIONS = {"tp": "torch-pruning", "sim": "onnxsim"}

_ABOUT = """Torch-Pruning {tp} prunes the torch module, which is exported afterwards; onnxsim {sim} \
(`apply_structured_pruning`) and this package prune the ONNX file. All rank filters by their L2 norm \
and are asked for {ratio:.0%} fewer of them in every layer; `onnxprune, data` is what the command \
line does by itself with 512 training images without labels (`--data`: criterion `obs`, repair \
`lstsq`), `onnxprune, aligned` has counts that are multiples of 16. Parameters are those that torch \
counts. Seconds are the least of three calls in a running process, of Torch-Pruning with the export \
behind the plus; ours contain the proof against the masked source. Accuracies are on all 10,000 test \
images, as pruned and after fine-tuning by `onnxprune.training` with the same settings for all: \
labels alone, one epoch, where published figures have 100 and more. The shortcuts of ResNet-56 are padded \
with a number of zeros that its module states, which a pruner of modules does not change."""

_UNTUNED = """A dash: not measured, as it takes longer than a study may."""

_LATENCY = """Median milliseconds of a run in ONNX Runtime, batch 1, one thread, all files of a row \
in turns; the least is bold."""

_ZOO = """Untrained networks (TorchScript exports with a dynamic batch) at the same ratio: \
parameters and multiply-accumulates left, and seconds of one call on a core of its own, of \
Torch-Pruning with the export behind the plus, ours with the proof against the masked source. \
Torch-Pruning leaves as much as this package wherever it works, and its pruning alone is mostly \
faster; onnxsim is faster still and leaves more, as it keeps what residual sums share. `fails`: an \
error, a file that does not run or gives no finite numbers, or more than two minutes. That the \
results of the others are right beyond that was not checked. Torch-Pruning is given the module and \
the defaults of its pruner; with settings for a network it may do more."""


if __name__ == "__main__":
    sys.exit(main())
