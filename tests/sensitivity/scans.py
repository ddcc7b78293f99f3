"""A small network with samples that it gets right most of the time, and a scan of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import ModelProto
from small_networks import network

from onnxprune.calibration import ArraySamples
from onnxprune.coupling import Coupling, couple
from onnxprune.coupling.groups import Indices
from onnxprune.criteria import criterion, score_groups
from onnxprune.evaluation.evaluate import BATCH
from onnxprune.model import load_model
from onnxprune.plan import PlanOptions, RatioTarget, make_plan
from onnxprune.sensitivity import Cache, HeldSamples, Scan, digest_of

IMAGES = np.random.default_rng(1).standard_normal((100, 3, 8, 8)).astype(np.float32)


def labels_of(proto: ModelProto, right: float = 0.9) -> np.ndarray:
    """What the network says, but for a share of the samples."""
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    labels = session.run(None, {"image": IMAGES})[0].argmax(axis=1)
    wrong = len(labels) - round(right * len(labels))
    labels[:wrong] = (labels[:wrong] + 1) % 10
    return labels


@dataclass(frozen=True)
class Example:
    """A scan and what it rests on."""

    coupling: Coupling
    samples: HeldSamples
    scan: Scan

    @property
    def groups(self):
        return [group for group in self.coupling.structure.groups if not group.held]


def kept_at(coupling: Coupling, ratio: float) -> dict[str, Indices]:
    """What each group keeps by the L1 norm."""
    scores = score_groups(coupling.structure, coupling.model.constants, criterion("l1"))
    options = PlanOptions(RatioTarget(ratio), align="off")
    return dict(make_plan(coupling.structure, scores, options).kept)


def example(
    proto: ModelProto | None = None,
    *,
    ratios: tuple[float, ...] = (0.25, 0.5),
    cache: Path | None = None,
    labelled: bool = True,
    also: tuple[str, ...] = (),
) -> Example:
    proto = network() if proto is None else proto
    coupling = couple(load_model(proto))
    labels = labels_of(proto) if labelled else None
    samples = HeldSamples(ArraySamples({"image": IMAGES}, labels), BATCH)
    key = {"model": digest_of(coupling.model), "samples": samples.digest}
    choices = {ratio: kept_at(coupling, ratio) for ratio in ratios}
    scan = Scan(coupling, choices, samples, Cache(cache, key), also=also, threads=1)
    return Example(coupling, samples, scan)
