"""Batch normalisations that are inserted for training and folded afterwards."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import oracle
import pytest
from onnx import numpy_helper

torch = pytest.importorskip("torch")
from torch_cases import difference, graph_of, train  # noqa: E402

from onnxprune import UsageError, load_model, to_torch, write_back  # noqa: E402
from onnxprune.torch_graph import insert_batch_norm  # noqa: E402

pytestmark = pytest.mark.frontends

FIXTURES = Path(__file__).parents[2] / "fixtures"
COUNTS = {"mobilenet_fashion": 22, "vgg_fashion": 6, "resnet_fashion": 0, "mlp_fashion": 0}
"""Convolutions without a normalisation."""


def batch(size: int = 16) -> torch.Tensor:
    return torch.randn(size, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["mobilenet_fashion", "vgg_fashion"])
def test_starts_as_the_identity_and_folds(name: str) -> None:
    model = load_model(FIXTURES / f"{name}.onnx")
    module, x = to_torch(model), batch()
    before = module(x)
    made = insert_batch_norm(module, [x])
    assert len(made) == COUNTS[name]
    assert not module.training
    limit = 1e-4 * before.abs().max()
    assert (module(x) - before).abs().max() <= limit
    assert write_back(module, model) is model
    assert (module.train()(x) - before).abs().max() <= 10 * limit
    train(module, {module.input_names[0]: x.numpy()})
    written = write_back(module, model)
    assert difference(written, module) <= 1e-4
    assert [node.op_type for node in written.proto.graph.node] == [n.op_type for n in model.proto.graph.node]


def test_filters_get_the_length_of_trained_ones() -> None:
    """A step turns each of them as far, whatever folding made of them, and what was not trained is exact."""
    shapes = {"w": (4, 3, 3, 3), "b": (4,), "u": (5, 4, 1, 1)}
    proto = graph_of("a = Conv(x, w, b) c = Relu(a) y = Conv(c, u)", shapes)
    weight = numpy_helper.to_array(proto.graph.initializer[0]) * 1e-3
    weight[1], weight[2] = 0.0, 1e-42  # multiplying the last by less than 1 and back would not be exact
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    model = load_model(proto)
    module, x = to_torch(model), torch.randn(8, 3, 6, 6)
    before = module(x)
    insert_batch_norm(module, [x])
    lengths = module.get_parameter("w").detach().flatten(1).norm(dim=1)
    assert ((lengths > 0.7) & (lengths < 1.42)).tolist() == [True, False, False, True]
    assert (module(x) - before).abs().max() <= 1e-5 * before.abs().max()
    assert write_back(module, model) is model
    with torch.no_grad():
        module.get_parameter("w")[0] *= 2
    written = write_back(module, model)
    (found,) = (t for t in written.to_proto().graph.initializer if t.name == "w")
    assert np.array_equal(numpy_helper.to_array(found)[0], 2 * weight[0])
    assert np.array_equal(numpy_helper.to_array(found)[1:], weight[1:])


@pytest.mark.parametrize("name", ["resnet_fashion", "mlp_fashion"])
def test_what_has_normalisations_or_no_convolutions_gets_none(name: str) -> None:
    module = to_torch(FIXTURES / f"{name}.onnx")
    assert insert_batch_norm(module, [batch(1)]) == ()


@pytest.mark.parametrize("form", ["tensor", "sequence", "mapping"])
def test_a_convolution_without_bias_gets_one(form: str) -> None:
    proto = graph_of("a = Conv(x, w) b = Relu(a) y = Conv(b, u)", {"w": (4, 3, 3, 3), "u": (5, 4, 1, 1)})
    model = load_model(proto)
    module, x = to_torch(model), torch.randn(2, 3, 6, 6)
    given = {"tensor": x, "sequence": [x], "mapping": {"x": x}}[form]
    assert insert_batch_norm(module, [given]) == ("w_norm",)  # the second is what the module returns
    assert all(value.grad is None for value in module.parameters())
    train(module, oracle.random_feed(proto, 0))
    written = write_back(module, model)
    assert list(written.proto.graph.node[0].input) == ["x", "w", "w.bias"]
    assert difference(written, module) <= 1e-4


def test_convolutions_that_share_a_weight_are_left() -> None:
    shared = graph_of("a = Conv(x, w) b = Conv(a, w) y = Relu(b)", {"w": (3, 3, 1, 1)})
    assert insert_batch_norm(to_torch(shared), [torch.randn(2, 3, 6, 6)]) == ()


def test_nothing_happens_without_batches_or_to_a_copy() -> None:
    module = to_torch(FIXTURES / "vgg_fashion.onnx")
    code = module.code
    with pytest.raises(UsageError, match="no batches"):
        insert_batch_norm(module, [])
    with pytest.raises(UsageError, match="copy"):
        insert_batch_norm(copy.deepcopy(module), [batch(1)])
    assert module.code == code
