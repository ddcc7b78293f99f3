"""The package from Python: verbs, pieces, and the names it promises."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import onnx
import oracle
import pytest
from small_networks import chaotic_network, files, network, save, stubborn_network

import onnxprune
from onnxprune.errors import InputError, UsageError, VerificationError

ROOT = Path(__file__).parents[2]


def test_every_promised_name_is_there() -> None:
    assert list(onnxprune.__all__) == sorted(onnxprune.__all__)
    for name in onnxprune.__all__:
        assert getattr(onnxprune, name) is not None
    assert set(onnxprune.__all__) <= set(dir(onnxprune))
    with pytest.raises(AttributeError, match="prunes"):
        _ = onnxprune.prunes


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project.get("version", onnxprune.__version__) == onnxprune.__version__


def test_prune_in_memory_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = network()
    before = model.SerializeToString()
    result = onnxprune.prune(model, ratio=0.5)
    assert model.SerializeToString() == before
    assert files(tmp_path) == set()
    assert result.report.output["written"] is False
    pruned = result.model.to_proto()
    assert result.report.totals["bytes"][1] == len(pruned.SerializeToString())
    oracle.check(model, pruned, result.report.cuts, expect_cut=True)


def test_prune_with_an_output(tmp_path: Path) -> None:
    path = save(tmp_path, network())
    steps: list[str] = []
    result = onnxprune.prune(path, ratio=0.5, output=tmp_path / "out.onnx", progress=steps.append)
    assert files(tmp_path) == {"model.onnx", "out.onnx"}
    assert steps[0] == "loading"
    assert steps[-1] == "writing"
    assert onnx.load(tmp_path / "out.onnx") == result.model.to_proto()
    assert onnxprune.verify(path, tmp_path / "out.onnx", result.report).passed
    assert onnxprune.verify(path, result.model, result.report.to_dict()).notes == ()


def test_a_function_is_a_criterion() -> None:
    def last(group: onnxprune.Coupling, weights: object) -> np.ndarray:
        return np.arange(group.size)

    result = onnxprune.prune(network(), ratio=0.5, criterion=last)
    assert result.report.cuts["conv1.weight"]["0"]["kept"] == list(range(16, 32))
    assert result.report.settings["criterion"]["name"] == "last"


def test_ratios_of_single_layers() -> None:
    result = onnxprune.prune(network(), ratio=0, layer_ratio={"conv2": 0.5}, align="off")
    assert [row.channels[1] for row in result.report.layers] == [32, 32, 10]
    greedy = onnxprune.prune(network(), ratio=0.5, scoring="greedy", include="conv1")
    assert [row.status for row in greedy.report.layers] == ["pruned", "kept", "pinned"]


def test_a_wrong_result_raises_and_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="logits"):
        onnxprune.prune(chaotic_network(), ratio=0.5, output=tmp_path / "out.onnx")
    assert files(tmp_path) == set()


def test_mistakes_are_errors_of_the_package() -> None:
    with pytest.raises(UsageError, match="missing"):
        onnxprune.prune(network())
    with pytest.raises(UsageError, match="two targets"):
        onnxprune.prune(network(), ratio=0.1, size="1MB")
    with pytest.raises(InputError, match="no layer that can be pruned"):
        onnxprune.prune(stubborn_network(both=True), ratio=0.1)


def test_inspect_with_and_without_a_target() -> None:
    plain = onnxprune.inspect(network())
    assert [row.group.name for row in plain.prunable] == ["conv1", "conv2"]
    assert plain.planned == {}
    aimed = onnxprune.inspect(network(), ratio=0.5)
    assert aimed.planned["params"] < plain.totals["params"]
    with pytest.raises(UsageError, match="missing"):
        onnxprune.inspect(network(), scope="global")


def test_the_pieces_make_the_same_model() -> None:
    source = onnxprune.load_model(network())
    coupling = onnxprune.couple(source)
    scores = onnxprune.score_groups(coupling.structure, source.constants, onnxprune.criterion("l1"))
    options = onnxprune.PlanOptions(onnxprune.parse_ratio(0.5))
    plan = onnxprune.make_plan(coupling.structure, scores, options)
    cut = onnxprune.apply(coupling, plan.kept)
    assert onnxprune.masked_equivalence(source, cut, coupling).passed
    assert cut.model.to_proto() == onnxprune.prune(network(), ratio=0.5).model.to_proto()
