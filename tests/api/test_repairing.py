"""Repair as a step of a run: what is reported, and that the cut stays verified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper
from small_networks import network

import onnxprune
from onnxprune.calibration import ArraySamples
from onnxprune.errors import UsageError
from onnxprune.repair import METHODS

IMAGES = np.random.default_rng(0).standard_normal((64, 3, 8, 8)).astype(np.float32)
RATIO = {"criterion": "l1", "ratio": 0.3, "align": "off", "threads": 1}


def outputs(model: object, images: np.ndarray = IMAGES) -> np.ndarray:
    proto = getattr(model, "to_proto", lambda: model)()
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]


def distance(model: object, images: np.ndarray = IMAGES) -> float:
    wanted = outputs(network(), images)
    return float(np.linalg.norm(outputs(model, images) - wanted) / np.linalg.norm(wanted))


def test_without_data_nothing_is_repaired_unless_asked_for() -> None:
    result = onnxprune.prune(network(), **RATIO)
    assert result.report.settings["repair"] == "none"
    assert result.report.to_dict()["repair"] == {}


@pytest.mark.parametrize("method", ["merge", "bias"])
def test_a_repair_is_a_step_behind_the_verified_cut(method: str) -> None:
    plain = onnxprune.prune(network(), **RATIO)
    result = onnxprune.prune(network(), **RATIO, data=IMAGES, repair=method)
    report = result.report
    assert report.verification["masked_equivalence"]["passed"]
    assert report.cuts == plain.report.cuts
    assert report.settings["repair"] == method
    assert (report.repair["method"], report.repair["asked"]) == (method, method)
    assert 0 < report.repair["samples"] <= 64
    assert [row["layer"] for row in report.repair["layers"]] == ["conv2", "head"]
    before, after = report.repair["output_error"]
    assert after < before
    assert distance(result.model) < distance(plain.model)
    shapes = [{n: c.shape for n, c in r.model.constants.items()} for r in (plain, result)]
    assert shapes[0] == shapes[1]


def test_the_same_command_gives_the_same_bytes() -> None:
    first, second = (
        onnxprune.prune(network(), **RATIO, data=IMAGES, repair="merge").model.to_proto().SerializeToString()
        for _ in range(2)
    )
    assert first == second


def test_auto_takes_the_strongest_that_the_data_allow() -> None:
    free = onnxprune.prune(network(), **RATIO, repair="auto").report
    assert free.settings["repair"] == max(
        (name for name, own in METHODS.items() if not own.needs_samples), key=lambda n: METHODS[n].strength
    )
    fed = onnxprune.prune(network(), **RATIO, data=IMAGES).report
    assert fed.settings["repair"] == max(METHODS, key=lambda name: METHODS[name].strength)
    assert fed.repair["asked"] == "auto"
    assert fed.repair["output_error"][1] < fed.repair["output_error"][0]


def with_silent_channels() -> onnx.ModelProto:
    """The network with a third of its channels zero, so that the cut alone already equals the source."""
    model = network()
    for tensor in model.graph.initializer:
        if tensor.name.startswith("conv"):
            values = numpy_helper.to_array(tensor).copy()
            values[::3] = 0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def test_auto_takes_back_what_does_not_help() -> None:
    plain = onnxprune.prune(with_silent_channels(), **RATIO)
    result = onnxprune.prune(with_silent_channels(), **RATIO, data=IMAGES, repair="auto")
    before, after = result.report.repair["output_error"]
    assert before <= after < 1e-3
    assert result.report.settings["repair"] == "none"
    assert result.report.repair["tried"] == max(METHODS, key=lambda name: METHODS[name].strength)
    assert result.model.to_proto() == plain.model.to_proto()
    assert any("taken back" in text for text in result.report.warnings)


@pytest.mark.parametrize(
    ("repair", "said"),
    [
        ("glue", "there is no repair 'glue'"),
        ("lstsq", "--repair lstsq looks at what the channels do on data"),
    ],
)
def test_a_repair_that_cannot_be_is_refused_before_the_model_is_opened(repair: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        onnxprune.prune("no such file.onnx", **RATIO, repair=repair)


def test_a_clean_up_needs_no_repair() -> None:
    report = onnxprune.prune(network(), ratio=0, repair="merge").report
    assert report.settings["repair"] in ("merge", "none")
    assert report.repair == {}


def test_a_repaired_file_is_checked_by_shape(tmp_path: Path) -> None:
    output = tmp_path / "small.onnx"
    result = onnxprune.prune(network(), **RATIO, data=IMAGES, repair="merge", output=output)
    found = onnxprune.verify(network(), output, result.report)
    assert found.passed
    assert any("repaired" in text for text in found.notes)
    other = onnxprune.prune(network(), criterion="l1", ratio=0.5, align="off", output=tmp_path / "other.onnx")
    assert other.report.cuts
    assert not onnxprune.verify(network(), tmp_path / "other.onnx", result.report).passed


def test_the_piece_by_itself() -> None:
    coupling = onnxprune.couple(onnxprune.load_model(network()))
    kept = {group.name: np.arange(group.size // 2) for group in coupling.structure.groups if not group.held}
    cut = onnxprune.apply(coupling, kept)
    found = onnxprune.repair_cut(coupling, cut, kept, "merge", samples=ArraySamples({"image": IMAGES}))
    assert isinstance(found, onnxprune.Repaired)
    assert distance(found.model) < distance(cut.model)
    with pytest.raises(UsageError, match="there are none"):
        onnxprune.repair_cut(coupling, cut, kept, "obs")
