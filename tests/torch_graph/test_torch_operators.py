"""Every operator of the table that pruning is tested with, as a module of torch, against ONNX Runtime."""

from __future__ import annotations

import onnx
import oracle
import pytest
from operator_case import Case, build
from operator_tables import CASES

pytest.importorskip("torch")
from onnx import defs
from torch_cases import backward, check, difference, graph_of

from onnxprune import InputError, to_torch
from onnxprune.coupling.rules import RULES
from onnxprune.model.versions import OLDEST_OPSET
from onnxprune.torch_graph.operators import REGISTRY

pytestmark = pytest.mark.frontends

REFUSED = {
    "contrib-elementwise",
    "contrib-fused",
    "deform-conv",
    "loop-captures",
    "loop-carries",
    "optional-sequence",
    "other-domain",
    "other-domain-mixes",
    "roi-align",
    "scan",
}
"""Cases of operators that pruning knows as barriers and torch modules not at all."""

NO_GRADIENT = {
    "arg-max-channels",
    "arg-max-space",
    "hardmax-channels",
    "max-pool-indices",
    "nonzero",
    "one-hot",
}
NO_GRADIENT |= {"qlinear-conv"}
"""Cases whose output does not depend on the weights continuously."""

NEWEST_OPSET = 26
"""Newest operator set that ONNX Runtime loads."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_operator(case: Case) -> None:
    model = build(case)
    if case.name in REFUSED:
        with pytest.raises(InputError, match="cannot be turned into torch"):
            to_torch(model)
        return
    half = any(i.data_type == onnx.TensorProto.FLOAT16 for i in model.graph.initializer)
    module = check(model, 1e-2 if half or "to=10" in case.body else 1e-4)
    untouched = backward(module, oracle.random_feed(model, 1))
    assert not untouched or case.name in NO_GRADIENT


FORMS = {
    "conv even kernel": ('y = Conv<auto_pad="SAME_LOWER", strides=[2,2]>(x, w)', {"w": (4, 3, 4, 4)}),
    "conv uneven pads": ('y = Conv<pads=[0,1,2,0]>(x, w)', {"w": (4, 3, 3, 3)}),
    "pool uneven pads": ('y = MaxPool<kernel_shape=[3,3], pads=[0,1,2,0]>(x)', {}),
    "average uneven pads": ('y = AveragePool<kernel_shape=[3,3], pads=[0,1,2,0], strides=[2,2]>(x)', {}),
    "transposed same": ('y = ConvTranspose<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)', {"w": (3, 4, 3, 3)}),
    "transposed shape": ('y = ConvTranspose<output_shape=[13,12], strides=[2,2]>(x, w)', {"w": (3, 4, 3, 3)}),
    "transposed crop": ('y = ConvTranspose<pads=[1,0,0,1], strides=[2,2]>(x, w, b)', {"w": (3, 4, 3, 3), "b": (4,)}),
    "matmul and bias": ("m = MatMul(x, w) y = Add(b, m)", {"w": (6, 5), "b": (5,)}),
    "matmul and maps": ("m = MatMul(x, w) y = Add(m, b)", {"w": (6, 5), "b": (3, 6, 5)}),
}  # fmt: skip
"""Forms of operators beside those of the table."""


@pytest.mark.parametrize("name", FORMS)
def test_form(name: str) -> None:
    body, constants = FORMS[name]
    module = check(graph_of(body, constants))
    assert set(module.initializer_names) == set(constants)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("places", ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"])
@pytest.mark.parametrize("scales", [(2.0, 3.0), (0.5, 1.4)], ids=str)
def test_resize(mode: str, places: str, scales: tuple[float, float]) -> None:
    given = onnx.numpy_helper.to_array(onnx.helper.make_tensor("s", 1, [4], [1.0, 1.0, *scales]))
    body = f'y = Resize<mode="{mode}", coordinate_transformation_mode="{places}">(x, , s)'
    check(graph_of(body, {"s": given}))


LAYERS = {
    "LSTM": ("LSTM", 4, ""),
    "LSTM, relu": ("LSTM", 4, ", activations=[relu, relu, relu]"),
    "GRU": ("GRU", 3, ""),
    "GRU, relu": ("GRU", 3, ", activations=[relu, relu]"),
    "GRU, reset after": ("GRU", 3, ", linear_before_reset=1"),
    "RNN": ("RNN", 1, ""),
    "RNN, relu": ("RNN", 1, ", activations=[relu]"),
}
"""Operator, number of gates, and attributes; ``relu`` stands for its name, once a direction."""


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("name", LAYERS)
def test_recurrent(name: str, direction: str) -> None:
    op, gates, extra = LAYERS[name]
    d, h = (2 if direction == "bidirectional" else 1), 4
    extra = extra.replace("relu", ", ".join(['"Relu"'] * d))
    body = f'y, last = {op}<hidden_size={h}, direction="{direction}"{extra}>(x, w, r, b)'
    shapes = {"w": (d, gates * h, 3), "r": (d, gates * h, h), "b": (d, 2 * gates * h)}
    model = graph_of(body, shapes, x=(5, 2, 3))
    module = check(model)
    assert not backward(module, oracle.random_feed(model, 1))


def test_every_operator_with_a_rule_is_known() -> None:
    known = {(domain, op) for domain, op, _ in REGISTRY.entries()}
    assert set(RULES.operators()) - known == {("", "QLinearAveragePool")}


def test_every_version_of_a_known_operator_is_known() -> None:
    known = set(REGISTRY.entries())
    history: dict[str, list[int]] = {op: [] for domain, op, _ in known if not domain}
    for schema in defs.get_all_schemas_with_history():
        if not schema.domain and schema.name in history and not schema.deprecated:
            history[schema.name].append(schema.since_version)
    for op, versions in history.items():
        first = max((v for v in versions if v <= OLDEST_OPSET), default=OLDEST_OPSET)
        wanted = {("", op, v) for v in versions if first <= v <= NEWEST_OPSET}
        assert not wanted - known


def test_a_second_registration_is_refused() -> None:
    with pytest.raises(ValueError, match="registered already"):
        REGISTRY.add(lambda call: None, "Relu", (14,), "")


def test_a_quantised_pair_lets_gradients_through() -> None:
    model = graph_of(
        "c = Conv(x, w) q = QuantizeLinear(c, s, z) y = DequantizeLinear(q, s, z)",
        {"w": (4, 3, 3, 3), "s": onnx.numpy_helper.to_array(onnx.helper.make_tensor("s", 1, [], [0.1])),
         "z": onnx.numpy_helper.to_array(onnx.helper.make_tensor("z", 3, [], [3]))},
    )  # fmt: skip
    module = to_torch(model)
    assert difference(model, module) <= 0.02  # one step of the scale where rounding meets a half
    assert not backward(module, oracle.random_feed(model, 0))
    assert module.w.grad.abs().sum() > 0
