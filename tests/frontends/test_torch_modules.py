"""Torch modules and exported programs as sources."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from onnxprune import prune
from onnxprune.errors import InputError, UsageError
from onnxprune.frontends import convert

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
from torch import nn  # noqa: E402

pytestmark = [pytest.mark.frontends, pytest.mark.filterwarnings("ignore")]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.norm = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(16, 4)

    def forward(self, image, scale=None):
        x = self.drop(torch.relu(self.norm(self.conv(image))).mean((2, 3)))
        return self.head(x if scale is None else x * scale)


class ManyHeads(nn.Module):
    """Takes a list and a plain number beside a tensor."""

    def forward(self, values, offset):
        return values[0] @ values[1].transpose(0, 1) + offset


class Fixed(nn.Module):
    """Takes three samples, and no other number of them."""

    def forward(self, x):
        return x + torch.tensor([[1.0], [2.0], [3.0]])


@pytest.fixture(scope="module")
def net() -> Net:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return Net()


@pytest.fixture
def program(net: Net, tmp_path: Path) -> Path:
    path = tmp_path / "net.pt2"
    batch = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(net.eval(), (torch.randn(2, 3, 8, 8),), dynamic_shapes=batch), path)
    return path


def run(model, *arrays):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.to_proto().SerializeToString())
    return session.run(None, {i.name: a for i, a in zip(session.get_inputs(), arrays, strict=True)})[0]


@pytest.mark.parametrize("example", ["tensor", "array", "tuple", "mapping"])
def test_a_module_is_converted_with_a_dynamic_batch(net: Net, example: str):
    image = torch.randn(2, 3, 8, 8)
    given = {"tensor": image, "array": image.numpy(), "tuple": (image,), "mapping": {"image": image}}[example]
    model = convert(net, example_inputs=given)
    assert model.proto.graph.input[0].name == "image"
    five = torch.randn(5, 3, 8, 8)
    np.testing.assert_allclose(run(model, five.numpy()), net.eval()(five).detach().numpy(), atol=1e-5)


def test_a_module_keeps_its_mode(net: Net):
    net.train()
    net.norm.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    model = convert(net, example_inputs=torch.randn(2, 3, 8, 8))
    assert net.training
    assert net.drop.training
    assert not net.norm.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    image = torch.randn(2, 3, 8, 8)
    np.testing.assert_allclose(run(model, image.numpy()), net.eval()(image).detach().numpy(), atol=1e-5)


def test_weights_keep_their_names(net: Net):
    model = convert(net, example_inputs=torch.randn(2, 3, 8, 8))
    assert {"conv.weight", "head.weight"} <= set(model.constants)


def test_two_exports_are_one(net: Net):
    one, other = (convert(net, example_inputs=torch.zeros(2, 3, 8, 8)) for _ in range(2))
    assert one.sha256 == other.sha256


def test_no_path_of_this_machine_gets_into_the_file(net: Net):
    model = convert(net, example_inputs=torch.zeros(2, 3, 8, 8))
    assert __file__.encode() not in model.to_proto().SerializeToString()


def test_inputs_may_be_nested():
    first, second = torch.randn(3, 4), torch.randn(3, 4)
    model = convert(ManyHeads(), example_inputs=([first, second], torch.randn(3, 3)))
    assert len(model.proto.graph.input) == 3


def test_a_module_for_one_batch_size_keeps_it(caplog: pytest.LogCaptureFixture):
    model = convert(Fixed(), example_inputs=torch.randn(3, 2))
    assert model.proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 3
    assert "no dynamic batch" in caplog.text


def test_a_module_needs_an_example(net: Net):
    with pytest.raises(UsageError, match="example of its inputs") as caught:
        convert(net)
    assert "example_inputs=" in caught.value.hint


def test_an_empty_example_is_refused(net: Net):
    with pytest.raises(InputError, match="empty"):
        convert(net, example_inputs=())


def test_what_torch_cannot_export_is_told(net: Net):
    with pytest.raises(InputError, match="module Net cannot be converted") as caught:
        convert(net, example_inputs=torch.randn(2, 5, 8, 8))
    assert "torch.onnx.export" in caught.value.hint


@pytest.mark.parametrize("opset", [18, 21])
def test_the_opset_is_as_asked(net: Net, opset: int):
    model = convert(net, example_inputs=torch.randn(2, 3, 8, 8), opset=opset)
    assert [entry.version for entry in model.proto.opset_import if entry.domain == ""] == [opset]


def test_too_low_an_opset_is_refused(net: Net):
    with pytest.raises(UsageError, match="does not write opset 12"):
        convert(net, example_inputs=torch.randn(2, 3, 8, 8), opset=12)


def test_a_program_is_converted(net: Net, program: Path):
    model = convert(program)
    image = torch.randn(5, 3, 8, 8)
    np.testing.assert_allclose(run(model, image.numpy()), net.eval()(image).detach().numpy(), atol=1e-5)
    assert model.path == program


def test_a_program_in_memory_is_converted(net: Net):
    exported = torch.export.export(net.eval(), (torch.randn(2, 3, 8, 8),))
    assert convert(exported).proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2
    onnx_program = torch.onnx.export(exported, (), dynamo=True, verbose=False)
    assert "conv.weight" in convert(onnx_program).constants


def test_a_module_is_pruned(net: Net):
    result = prune(convert(net, example_inputs=torch.randn(2, 3, 8, 8)), ratio=0.5, align="off", threads=1)
    assert result.model.constants["conv.weight"].shape == (8, 3, 3, 3)


def rewritten(path: Path, change) -> Path:
    """A copy of an archive in which a function has changed the entries, by name without the first folder."""
    with zipfile.ZipFile(path) as source:
        entries = {name.partition("/")[2]: source.read(name) for name in source.namelist()}
    change(entries)
    copy = path.with_name("changed.pt2")
    with zipfile.ZipFile(copy, "w") as target:
        for name, content in entries.items():
            target.writestr(f"net/{name}", content)
    return copy


def in_json(entry: str, change):
    """A change of the JSON in an entry."""

    def run_change(entries: dict[str, bytes]) -> None:
        content = json.loads(entries[entry])
        change(content)
        entries[entry] = json.dumps(content).encode()

    return run_change


MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


def test_guards_are_not_run(program: Path, tmp_path: Path):
    trap = tmp_path / "sprung"
    code = f"(__import__('pathlib').Path({str(trap)!r}).touch() or True)"
    path = rewritten(program, in_json(MODEL, lambda found: found["guards_code"].append(code)))
    assert convert(path).constants
    assert not trap.exists()


def test_a_call_of_another_function_is_refused(program: Path):
    def change(found):
        found["graph_module"]["graph"]["nodes"][0]["target"] = "torch.os.system"

    with pytest.raises(InputError, match=r"holds more than a graph: a call of 'torch\.os\.system'"):
        convert(rewritten(program, in_json(MODEL, change)))


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    "entry", ["data/sample_inputs/model.pt", "data/weights/weight_0", "data/weights/model.pt"]
)
def test_pickles_in_an_archive_are_not_opened(program: Path, tmp_path: Path, entry: str):
    trap, file = tmp_path / "sprung", io.BytesIO()
    torch.save(_Trap(trap), file)

    def change(entries):
        entries[entry] = file.getvalue()
        config = json.loads(entries[WEIGHTS])
        for payload in config["config"].values():
            payload["use_pickle"] = payload["path_name"] == "weight_0"
        if entry.endswith("weight_0"):
            entries[WEIGHTS] = json.dumps(config).encode()

    with pytest.raises(InputError, match="pickled objects"):
        convert(rewritten(program, change))
    assert not trap.exists()


@pytest.mark.parametrize("name", ["custom_obj_0", "opaque_obj_0", "../weight_0"])
def test_objects_in_an_archive_are_refused(program: Path, name: str, tmp_path: Path):
    trap = tmp_path / "sprung"

    def change(entries):
        config = {
            "config": {
                "thing": {"path_name": name, "is_param": False, "use_pickle": True, "tensor_meta": None}
            }
        }
        entries["data/constants/model_constants_config.json"] = json.dumps(config).encode()
        entries[f"data/constants/{name}"] = pickle.dumps(_Trap(trap))

    with pytest.raises(InputError, match="no tensor"):
        convert(rewritten(program, change))
    assert not trap.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda entries: entries.update({MODEL: b"{"}),
        lambda entries: entries.pop(WEIGHTS),
        lambda entries: entries.update({WEIGHTS: b"{}"}),
        lambda entries: entries.update({MODEL: b"[]"}),
        lambda entries: entries.pop("data/weights/weight_0"),
    ],
)
def test_a_damaged_archive_is_told(program: Path, change):
    with pytest.raises(InputError, match=r"not a complete program|cannot be converted"):
        convert(rewritten(program, change))


def test_a_compiled_package_is_refused(program: Path):
    def change(entries):
        del entries[MODEL]
        entries["data/aotinductor/model/x.so"] = b"\x7fELF"

    with pytest.raises(InputError, match="no exported program called 'model'"):
        convert(rewritten(program, change))
