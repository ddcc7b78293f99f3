"""Passive filter pruning (arXiv 2203.15751) of the DCASE 2021 network: layers, training, formats.

    python benchmarks/passive.py [--shared FOLDER] [--cache FOLDER] [--dcase FOLDER] [--device cuda]
                                 [--part 1/3] [--quick]

Trains a network for each fold of ESC-10, whose log-mel features have the shape that the network wants, or
with ``--dcase`` one on the features of DCASE 2021 that the folder holds (``benchmarks/logmel.py`` says
how). Writes ``docs/benchmarks/passive.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import passive_keras
from harness import table
from logmel import pack
from steps import prune_to, widths
from study import SETS, Figures, ImageSet, Study, make_fixtures

from onnxprune import load_model, quantize
from onnxprune.model import Model

EPOCHS = 15
"""Of fine-tuning."""

FOLDS = 3
"""Of the five: those that a core trains and tunes in half an hour."""

KEPT = {"C1": 11, "C2": 11, "C3": 22}
"""Filters that the rule of the paper leaves of 16, 16 and 32 in the authors' files."""

FULL = {"C1": 16, "C2": 16, "C3": 32}
SUBSETS = (("C1",), ("C2",), ("C3",), ("C1", "C2"), ("C1", "C3"), ("C2", "C3"), ("C1", "C2", "C3"))
AUTHORS = {("C1",): 42_056, ("C1", "C2", "C3"): 24_056}
"""Numbers in the authors' files ``dcase2021_passive_C1.h5`` and ``dcase2021_passive_C123.h5``."""

KINDS = {"float32": None, "float16": "fp16", "uint8": "int8"}


@dataclass(frozen=True)
class Fold:
    """A data set with the recipe of its network."""

    name: str
    data: ImageSet

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        return f"dcase2021_{self.name}"


def keras_count(filters: Mapping[str, int]) -> int:
    """Numbers of the network as Keras counts them, running statistics included."""
    first, second, third = (filters[name] for name in FULL)
    layers = [(49 * 1 + 5) * first, (49 * first + 5) * second, (49 * second + 5) * third]
    return sum(layers) + (2 * third + 1) * 100 + 1010


def filters_of(subset: Sequence[str]) -> dict[str, int]:
    """Filters that are left when some layers are pruned."""
    return {name: KEPT[name] if name in subset else size for name, size in FULL.items()}


def run(study: Study, fold: Fold, subset: Sequence[str]) -> Figures:
    """Prune some layers of a fold's network, fine-tune, make narrow copies; measure everything."""

    def make() -> Figures:
        source = load_model(study.source(fold.recipe))
        names = dict(
            zip(FULL, (name for name, size in widths(source).items() if size in (16, 32)), strict=True)
        )
        counts = {names[layer]: KEPT[layer] for layer in subset}
        pruned = prune_to(source, counts, criterion="cosine") if subset else source
        tuned = study.tune(pruned, fold.data, EPOCHS, batch=32, ema=0.0) if subset else pruned
        return {"pruned": study.measure(pruned, fold.data), "copies": copies(study, fold, tuned)}

    name = f"{fold.name}_{''.join(subset) or 'source'}"
    return study.case(name, {"epochs": EPOCHS, "quick": study.quick}, make)


def copies(study: Study, fold: Fold, model: Model) -> dict[str, Figures]:
    """Accuracy, log-loss and bytes by number format; ranges come from training samples."""
    found = {}
    for title, kind in KINDS.items():
        samples = study.samples(fold.data, model, "train", labels=False)
        copy = model if kind is None else quantize(model, to=kind, data=samples, holdout=0).model
        path = study.keep(f"{fold.name}_copy", copy)
        found[title] = {**study.measure(load_model(path), fold.data), "bytes": path.stat().st_size}
        path.unlink()
    return found


def rule(study: Study, fold: Fold) -> Figures:
    """Filters that the rule of the paper leaves: ``--criterion cosine`` without a number."""

    def make() -> Figures:
        import onnxprune

        source = load_model(study.source(fold.recipe))
        convolutions = [name for name, size in widths(source).items() if size in (16, 32)]
        model = onnxprune.prune(
            source, criterion="cosine", include=convolutions, align="off", repair="none"
        ).model
        left = widths(model)
        return {"filters": [left[name] for name in convolutions]}

    return study.case(f"{fold.name}_rule", {"quick": study.quick}, make)


def page(study: Study, folds: Sequence[Fold], subsets: Sequence[Sequence[str]]) -> None:
    """Tables of the pruning and of the number formats."""
    rows, narrow = [], []
    for subset in subsets:
        found = [run(study, fold, subset) for fold in folds]
        filters = filters_of(subset)
        count = keras_count(filters)
        title = " + ".join(subset) or "(source)"
        authors = AUTHORS.get(tuple(subset))
        rows.append(
            [
                title,
                "-".join(map(str, filters.values())),
                f"{count:,}",
                f"−{1 - count / keras_count(FULL):.1%}" if subset else "",
                "" if authors is None else f"{authors:,}",
                *(spread(found, "pruned", key) for key in ("accuracy", "log_loss")),
                *(spread(found, "float32", key) for key in ("accuracy", "log_loss")),
            ]
        )
        size = f"{np.mean([own['copies']['float32']['bytes'] for own in found]) / 1e3:.0f}"
        cells = [size, *(spread(found, "float32", key) for key in ("accuracy", "log_loss"))]
        for kind in ("float16", "uint8"):
            cells.append(f"{np.mean([own['copies'][kind]['bytes'] for own in found]) / 1e3:.0f}")
            cells += [spread(found, kind, key) for key in ("accuracy", "log_loss")]
        narrow.append([title, *cells])
    heads = ["pruned layers", "filters", "numbers", "less", "authors' file", "as pruned, %", "log-loss"]
    kinds = [f"{kind}, {what}" for kind in KINDS for what in ("kB", "%", "log-loss")]
    left = "; ".join("-".join(map(str, rule(study, fold)["filters"])) for fold in folds)
    study.page(
        "Passive pruning of the DCASE 2021 network",
        _ABOUT.format(data=folds[0].data.title, folds=len(folds), epochs=EPOCHS, left=left),
        table([*heads, "fine-tuned, %", "log-loss"], rows),
        study.figure(partial(draw, study, folds, subsets)),
        "## Number formats",
        _FORMATS,
        table(["pruned layers", *kinds], narrow),
        *keras_part(study, folds),
        _DATA,
    )


def keras_part(study: Study, folds: Sequence[Fold]) -> list[str]:
    """What comes of Keras files; nothing in a quick run, as TensorFlow takes its time."""
    whole = SUBSETS[-1]
    if study.quick or not passive_keras.possible():
        return []
    theirs = passive_keras.authors(study)
    rows = []
    for fold in folds:
        found = passive_keras.twin(study, fold.recipe, fold.data)
        same = run(study, fold, whole)["pruned"]
        rows.append(
            [
                fold.name.replace("_", ", "),
                "-".join(map(str, found["filters"])),
                *(f"{own[key]:.{digits}f}" for own in (same, found) for key, digits in _MEASURES),
            ]
        )
    heads = ["data", "filters", "as ONNX, %", "log-loss", "as Keras, %", "log-loss"]
    left = keras_count(dict(zip(FULL, theirs["filters"], strict=True)))
    return ["## From a Keras file", _KERAS.format(left=f"{left:,}"), table(heads, rows)]


def spread(found: Sequence[Figures], stage: str, key: str) -> str:
    """Mean over the folds, with the smallest and the largest."""
    values = [own["pruned"][key] if stage == "pruned" else own["copies"][stage][key] for own in found]
    digits = 1 if key == "accuracy" else 2
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def draw(study: Study, folds: Sequence[Fold], subsets: Sequence[Sequence[str]], axes: Any) -> None:
    """Accuracy as pruned and fine-tuned against the numbers that are left."""
    for subset in subsets:
        found = [run(study, fold, subset) for fold in folds]
        count = keras_count(filters_of(subset))
        before = float(np.mean([own["pruned"]["accuracy"] for own in found]))
        after = float(np.mean([own["copies"]["float32"]["accuracy"] for own in found]))
        axes.plot([count, count], [before, after], color="C7", linewidth=0.8)
        axes.plot(count, before, "x", color="C1")
        axes.plot(count, after, "o", color="C0")
        axes.annotate(
            "+".join(subset) or "source",
            (count, after),
            fontsize=7,
            xytext=(3, 3),
            textcoords="offset points",
        )
    axes.set_xlabel("numbers that are left")
    axes.set_ylabel("accuracy, % (x as pruned, o fine-tuned)")


_ABOUT = """The baseline network of DCASE 2021, task 1A (convolutions C1, C2, C3 of 16, 16 and 32 \
filters 7x7 on 40 mel bands by 500 frames), pruned by the cosine similarity of filters (`--criterion \
cosine`; Singh and Plumbley 2022, arXiv 2203.15751) to the filters that the authors' files have, so that \
the numbers are those of the paper, counted as Keras does (running statistics included; 46,246 \
unpruned). The data are not theirs: the audio of the challenge is not at hand, and {data} stands in, \
{folds} of its five folds, each network trained on the other four from scratch (60 epochs of mirror-free \
SGD, batch 32, bfloat16) and fine-tuned after pruning for {epochs} epochs on the same clips, without the \
dropout of the training. Figures are the mean over the folds, with the least and the largest; a fold has \
80 clips, so one clip is 1.25 points of it. The rule of the paper without a number would leave of these \
networks, fold by fold: {left} filters."""

_MEASURES = (("accuracy", 1), ("log_loss", 3))

_KERAS = """The authors' file `dcase2021_passive_C1.h5`, given to `onnxprune` as it is and pruned by \
cosine similarity in C2 and C3 too, ends with {left} numbers, as many as their file in which all \
three layers are pruned. \
The networks of the tables above as Keras files (channels last, softmax at the end) give what their \
ONNX files give, and their three layers are pruned to the same numbers. Before any fine-tuning the \
accuracies still differ: the conversion folds the batch normalisation into the kernels, which \
changes the norms that decide which filter of a similar pair goes."""

_FORMATS = """The fine-tuned networks as float32, float16 (`onnxprune quantize --to fp16`) and uint8 \
(`--to int8`: activations in uint8, weights in int8 with a scale a channel; ranges from training \
clips). Sizes are those of ONNX files."""

_DATA = """With the features of the challenge the same command makes the table of the paper: `python \
benchmarks/passive.py --dcase FOLDER`, where FOLDER holds `evaluation_setup/fold1_train.csv`, \
`fold1_evaluate.csv` and `features/<recording>.npy`, arrays of 40 by 500 (`benchmarks/logmel.py`)."""


def folds_of(study: Study, dcase: Path | None) -> list[Fold]:
    """The first folds of ESC-10, one in a quick run; or the data of the challenge."""
    if dcase is not None:
        data = replace(
            SETS["esc10_fold1"],
            suffix="dcase2021",
            title="DCASE 2021 task 1A",
            read=lambda _, kept: pack(dcase, kept),
        )
        make_fixtures.RECIPES["dcase2021_dcase"] = replace(
            make_fixtures.RECIPES["dcase2021_esc10_fold1"], data=data
        )
        return [Fold("dcase", data)]
    folds = [Fold(name, data) for name, data in SETS.items() if name.startswith("esc10")]
    return folds[-1:] if study.quick else folds[:FOLDS]


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--dcase", type=Path)
    given, rest = own.parse_known_args(words)
    study = Study("passive", rest, about=(__doc__ or "").splitlines()[0], quick_images=48)
    folds = folds_of(study, given.dcase)
    subsets = [(), SUBSETS[0]] if study.quick else [(), *SUBSETS]
    for fold in study.share(folds):
        for subset in subsets:
            run(study, fold, subset)
        rule(study, fold)
    if not study.partial:
        page(study, folds, subsets)


if __name__ == "__main__":
    main()
