"""Other formats through the verbs, from the shell and from Python."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxprune
from onnxprune.cli import main
from onnxprune.errors import InputError, UsageError

pytestmark = [pytest.mark.frontends, pytest.mark.filterwarnings("ignore")]


@dataclass(frozen=True)
class Done:
    """A finished command."""

    returncode: int
    stdout: str
    stderr: str


Shell = Callable[..., Done]


@pytest.fixture
def shell(capfd: pytest.CaptureFixture[str]) -> Shell:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Done:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture
def as_json(shell: Shell) -> Callable[..., dict]:
    """The one object that ``--json`` prints."""

    def run(*arguments: object) -> dict:
        done = shell(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def program(tmp_path: Path) -> Path:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Conv2d(16, 4, 3)).eval()
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(net, (torch.randn(1, 3, 8, 8),)), path)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for module in ("tensorflow", "keras", "tf2onnx"):
        pytest.importorskip(module)
    import keras

    layers = [keras.layers.Conv2D(16, 3, name="first"), keras.layers.ReLU(), keras.layers.Conv2D(4, 3)]
    path = tmp_path / "net.keras"
    keras.Sequential([keras.Input((8, 8, 3)), *layers], name="net").save(path)
    return path


@pytest.mark.parametrize("source", ["program", "archive"])
def test_pruning_converts_first(source: str, request: pytest.FixtureRequest, shell, as_json):
    path: Path = request.getfixturevalue(source)
    report = path.with_name("report.json")
    found = as_json(path, "--ratio", "0.5", "--align", "off", "--report", report)
    assert found["source"]["path"] == str(path)
    written = path.with_name("net.pruned.onnx")
    assert onnx.load(written).ir_version
    assert found["totals"]["params"][1] < found["totals"]["params"][0]
    assert set(path.parent.iterdir()) == {path, written, report}
    done = shell("verify", path, written, report)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("source", ["program", "archive"])
def test_the_verb_converts_alone(source: str, request: pytest.FixtureRequest, shell, as_json):
    path: Path = request.getfixturevalue(source)
    done = shell("convert", path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    written = path.with_name("net.onnx")
    assert done.stdout.startswith(f"{written}: ")
    cuts = as_json(written, "--ratio", "0.5", "--align", "off", "--dry-run")["cuts"]
    assert cuts == as_json(path, "--ratio", "0.5", "--align", "off", "--dry-run")["cuts"]


def test_the_account_of_a_conversion(program: Path, as_json):
    found = as_json("convert", program, "--opset", "19", "-o", program.with_name("other.onnx"))
    assert found["opset"] == 19
    assert found["params"] == 16 * 27 + 16 + 4 * 144 + 4
    assert found["bytes"] == program.with_name("other.onnx").stat().st_size
    assert onnxprune.load_model(found["output"]).sha256 == found["sha256"]


def test_groups_are_shown_without_a_conversion_by_hand(program: Path, as_json):
    assert len(as_json("inspect", program)["groups"]) >= 1


def test_onnx_needs_no_conversion(program: Path, shell):
    shell("convert", program)
    done = shell("convert", program.with_name("net.onnx"))
    assert done.returncode == 2
    assert "needs no conversion" in done.stderr


def test_the_source_is_not_overwritten(program: Path, shell):
    before = program.read_bytes()
    for verb in ([program, "--ratio", "0.5"], ["convert", program]):
        done = shell(*verb, "-o", program)
        assert done.returncode == 2
        assert "never overwritten" in done.stderr
    assert program.read_bytes() == before


@pytest.mark.parametrize("verb", [[], ["convert"]])
def test_pickles_are_refused_from_the_shell(verb: list[str], tmp_path: Path, shell):
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02.")
    done = shell(*verb, path, *([] if verb else ["--ratio", "0.4"]), "--json")
    assert done.returncode == 2
    problem = json.loads(done.stdout)
    assert "pickle" in problem["error"]
    assert "torch.onnx.export" in problem["hint"]


def test_objects_are_pruned_from_python(program: Path):
    import torch

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Conv2d(16, 4, 3))
    image = np.zeros((1, 3, 8, 8), np.float32)
    result = onnxprune.prune(net, example_inputs=image, ratio=0.5, align="off", threads=1)
    assert result.model.constants["0.weight"].shape == (8, 3, 3, 3)
    assert result.report.source["path"] is None
    assert onnxprune.inspect(net, example_inputs=image).to_dict()["groups"]
    with pytest.raises(UsageError, match="example"):
        onnxprune.prune(net, ratio=0.5)


def test_keras_objects_are_pruned_from_python(archive: Path):
    import keras

    model = keras.saving.load_model(archive)
    result = onnxprune.prune(model, ratio=0.5, align="off", threads=1)
    rows = {row.name.split("/")[1]: row.channels for row in result.report.layers}
    assert rows["first"] == (16, 8)


def test_converting_from_python(program: Path, tmp_path: Path):
    model = onnxprune.convert(program, output=tmp_path / "out.onnx")
    assert model.path == tmp_path / "out.onnx"
    assert onnxprune.load_model(tmp_path / "out.onnx").sha256 == model.sha256
    assert onnxprune.convert(program).path == program
    with pytest.raises(UsageError, match="needs no conversion"):
        onnxprune.convert(model)
    with pytest.raises(InputError, match="does not exist"):
        onnxprune.convert(tmp_path / "absent.onnx")
