"""Models that are right, to be used as they are or to be damaged.

They come from the generators of the test suite, from the fixtures, from the shared folder where there is one,
and from the test cases that the onnx package carries for each operator.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from fuzzing.edits import any_of

ROOT = Path(__file__).parents[2]
for folder in ("tests", "tests/model"):
    sys.path.append(str(ROOT / folder))
SHARED = Path(os.environ.get("ONNXPRUNE_SHARED", ROOT.parent / "shared")) / "models"

LARGEST = 2_000_000
"""Bytes of a real model; larger ones take seconds each and have nothing more to break."""


def random_network(number: int) -> ModelProto:
    """A random network of the test suite."""
    from strategies import random_graph

    return random_graph(number)


def operator_case(number: int) -> ModelProto:
    """A line of the table of operators: every operator that has a rule, between two layers."""
    from operator_case import build
    from operator_tables import CASES

    return build(CASES[number % len(CASES)])


def node_case(number: int) -> ModelProto:
    """A test case of the onnx package; stamped with an operator set that ONNX Runtime loads."""
    from node_cases import stamped

    found = node_models()
    return stamped(found[number % len(found)])


@cache
def node_models() -> list[ModelProto]:
    """All of them; takes seconds, so call it once before processes are forked."""
    from node_cases import cases

    return [case.model for case in cases()]


def block(number: int) -> ModelProto:
    """A small network for repair."""
    from mixed_networks import CASES, residual

    made: list[Callable[[], ModelProto]] = [case.proto for case in CASES.values()]
    return [*made, residual][number % (len(made) + 1)]()


FIXTURES = ("mlp_fashion", "mobilenet_fashion", "resnet_fashion", "vgg16_cifar10", "vgg_fashion")
"""Named, so that a number stands for the same input when others join them."""


@cache
def real_paths() -> tuple[Path, ...]:
    """Files that were not made for the suite."""
    found = [ROOT / "fixtures" / f"{name}.onnx" for name in FIXTURES] + sorted(SHARED.glob("*.onnx"))
    return tuple(path for path in found if path.stat().st_size <= LARGEST)


def real(number: int) -> ModelProto:
    """A fixture, or a model of the shared folder."""
    paths = real_paths()
    return onnx.load(paths[number % len(paths)])


def small(rng: np.random.Generator) -> ModelProto:
    """Any of those that are pruned in milliseconds."""
    make = any_of(rng, (random_network, operator_case, operator_case, block))
    return make(int(rng.integers(1 << 20)))
