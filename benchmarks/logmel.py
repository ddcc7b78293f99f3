"""Log-mel features of acoustic scenes as a data set: ``.npy`` files and the lists of DCASE 2021.

The folder has the layout of TAU Urban Acoustic Scenes 2020 Mobile, from which task 1A of DCASE 2021 is
made, with the features beside it::

    FOLDER/evaluation_setup/fold1_train.csv      tab-separated, with a head: filename, scene_label
    FOLDER/evaluation_setup/fold1_evaluate.csv   the same
    FOLDER/features/airport-lisbon-1000-40000-a.npy   40 mel bands by 500 frames, logarithm of the energy

A file of the list is looked for by its stem, whatever folder and suffix the list states. Frames are 40 ms
with a hop of 20 ms over ten seconds in the baseline of the challenge.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

SHAPE = (40, 500)
LISTS = {"train": "fold1_train.csv", "test": "fold1_evaluate.csv"}

Features = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]


def read_features(folder: Path, names: Sequence[str]) -> Features:
    """The features of some recordings, (n 40 500).

    Raises:
        SystemExit: a file is missing, or its array has another shape.
    """
    found = []
    for name in names:
        path = folder / "features" / f"{Path(name).stem}.npy"
        if not path.is_file():
            raise SystemExit(f"{path} is missing: features are arrays {SHAPE}, one file a recording")
        values = np.load(path, allow_pickle=False)
        if values.shape != SHAPE:
            raise SystemExit(f"{path}: the shape is {values.shape}, not {SHAPE}")
        found.append(values.astype(np.float32))
    return np.stack(found)


def read_list(path: Path) -> tuple[list[str], list[str]]:
    """File names and scenes of a list.

    Raises:
        SystemExit: it is missing, or lacks a column.
    """
    if not path.is_file():
        raise SystemExit(f"{path} is missing: name the folder that holds evaluation_setup/ and features/")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if not rows or not {"filename", "scene_label"} <= set(rows[0]):
        raise SystemExit(f"{path}: the columns filename and scene_label are wanted, divided by tabs")
    return [row["filename"] for row in rows], [row["scene_label"] for row in rows]


def pack(folder: Path, kept: Path) -> Path:
    """Make one ``.npz`` with samples, labels and ``classes``, if there is none yet."""
    path = kept / "dcase2021.npz"
    if path.is_file():
        return path
    lists = {part: read_list(folder / "evaluation_setup" / name) for part, name in LISTS.items()}
    scenes = sorted(set(lists["train"][1]))
    arrays: dict[str, npt.NDArray[np.generic]] = {"classes": np.array(scenes)}
    for part, (names, labels) in lists.items():
        arrays[f"x_{part}"] = read_features(folder, names)
        arrays[f"y_{part}"] = np.array([scenes.index(label) for label in labels], np.int64)
    kept.mkdir(parents=True, exist_ok=True)
    unfinished = kept / f"dcase2021.{os.getpid()}.npz"
    np.savez(unfinished, **arrays)
    unfinished.replace(path)
    return path
