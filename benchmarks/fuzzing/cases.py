"""Numbered inputs: a number gives the same files and the same command line wherever it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from google.protobuf.message import EncodeError
from onnx import ModelProto

from fuzzing import bases
from fuzzing.blunt import BLUNT
from fuzzing.edits import EDITS, Edit, any_of
from fuzzing.messages import change_anything, random_model
from fuzzing.rewiring import REWIRINGS

MODEL, OUTPUT, REPORT = "model.onnx", "out.onnx", "report.json"
SEED = 7

PRUNING: tuple[tuple[str, ...], ...] = (
    ("--ratio", "0.4"),
    ("--ratio", "0.4"),
    ("--ratio", "0.75", "--scope", "global"),
    ("--ratio", "0.5", "--scope", "isomorphic", "--align", "off"),
    ("--ratio", "0.4", "--scoring", "greedy", "--align", "4"),
    ("--ratio", "0.5", "--criterion", "geometric_median"),
    ("--ratio", "0.3", "--criterion", "cosine"),
    ("--ratio", "0.4", "--repair", "merge"),
    ("--macs", "0.5x"),
    ("--params", "0.6x", "--criterion", "lamp"),
    ("--ratio", "0"),
    ("--ratio", "0.4", "--quantize", "fp16"),
    ("--ratio", "0.4", "--report", "report.html"),
    ("--ratio", "0.4", "--report", "report.md"),
)


@dataclass(frozen=True)
class Case:
    """Files and what is asked of the command line.

    Attributes:
        number: that it is drawn by.
        kind: how it was made.
        files: content by name, as they lie in the folder.
        arguments: of the command line.
        detail: what was done to the model.
    """

    number: int
    kind: str
    files: Mapping[str, bytes]
    arguments: tuple[str, ...]
    detail: str = ""


@dataclass
class Draft:
    """A case in the making.

    Attributes:
        rng: every choice comes from here.
        number: of the case among those of its kind.
        done: what was done to the model.
    """

    rng: np.random.Generator
    number: int
    done: list[str] = field(default_factory=list)

    def edited(self, model: ModelProto, edits: tuple[Edit, ...]) -> bytes:
        """The model after one edit, now and then after up to three, as bytes."""
        for _ in range(1 if self.rng.random() < 0.7 else int(self.rng.integers(2, 4))):
            edit = any_of(self.rng, edits)
            before = model.SerializeToString()
            try:
                edit(self.rng, model)
                self.done.append(edit.__name__)
            except (ValueError, TypeError, IndexError):  # protobuf or NumPy does not take that value there
                model.ParseFromString(before)
        return model.SerializeToString()

    def damaged(self, data: bytes) -> bytes:
        """The bytes after one or two kinds of damage."""
        for _ in range(1 if self.rng.random() < 0.8 else 2):
            damage = any_of(self.rng, BLUNT)
            data = damage(self.rng, data) if data else data
            self.done.append(damage.__name__)
        return data


def _real(draft: Draft) -> bytes:
    model = bases.real(draft.number)
    way = draft.number // len(bases.real_paths()) % 3
    if way == 0:
        return draft.damaged(model.SerializeToString())
    return draft.edited(model, EDITS if way == 1 else REWIRINGS)


def _anything(draft: Draft) -> bytes:
    return draft.edited(bases.small(draft.rng), (change_anything,))


def _message(draft: Draft) -> bytes:
    try:
        data = random_model(draft.rng).SerializeToString()
    except EncodeError:
        data = draft.rng.bytes(100)
    return draft.damaged(data) if draft.rng.random() < 0.2 else data


Maker = Callable[[Draft], bytes]
KINDS: Mapping[str, tuple[int, Maker]] = {
    "random networks": (1, lambda d: bases.random_network(500_000 + d.number).SerializeToString()),
    "operators between layers": (1, lambda d: bases.operator_case(d.number).SerializeToString()),
    "node models of onnx": (2, lambda d: bases.node_case(d.number).SerializeToString()),
    "small models, bytes damaged": (4, lambda d: d.damaged(bases.small(d.rng).SerializeToString())),
    "small models, fields changed": (4, lambda d: d.edited(bases.small(d.rng), EDITS)),
    "small models, rewired": (4, lambda d: d.edited(bases.small(d.rng), REWIRINGS)),
    "small models, any field": (2, _anything),
    "random messages": (1, _message),
    "real models, damaged": (1, _real),
}
"""Makers and how many of every ``ROUND`` numbers are theirs."""
_ORDER = [kind for kind, (share, _) in KINDS.items() for _ in range(share)]
ROUND = len(_ORDER)


def kind_of(number: int) -> str:
    """How the input of a number is made."""
    return _ORDER[number % ROUND]


def case(number: int) -> Case:
    """The input of a number."""
    position = number % ROUND
    kind = kind_of(number)
    share, make = KINDS[kind]
    among = number // ROUND * share + (position - _ORDER.index(kind))
    draft = Draft(np.random.default_rng([SEED, number]), among)
    content = make(draft)
    return Case(number, kind, {MODEL: content}, _arguments(draft.rng), " ".join(draft.done))


def _arguments(rng: np.random.Generator) -> tuple[str, ...]:
    if rng.random() < 0.06:
        return ("inspect", MODEL)
    options = PRUNING[int(rng.integers(len(PRUNING)))]
    return (MODEL, *options, "-o", OUTPUT, "--report", REPORT, "--threads", "1")
