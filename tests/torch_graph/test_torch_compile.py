"""The module under torch.compile, without a break in its graph, and under autocast."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from torch_cases import graph_of  # noqa: E402

from onnxprune import to_torch  # noqa: E402

pytestmark = [pytest.mark.frontends, pytest.mark.filterwarnings("ignore")]

FIXTURES = Path(__file__).parents[2] / "fixtures"

DYNAMIC = """
    c = Conv<pads=[1,1,1,1]>(x, w) r = Relu(c) s = Shape(r) i = Constant<value_ints=[0]>() n = Gather(s, i)
    h = Constant<value_ints=[2]>() q = Gather(s, h) m = Mul(n, q) e = Constant<value_ints=[-1]>()
    t = Concat<axis=0>(m, e) f = Reshape(r, t) y = MatMul(f, v)"""
"""A shape that is computed from two dynamic lengths."""


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_in_one_piece(backend: str) -> None:
    module = to_torch(graph_of(DYNAMIC, {"w": (4, 3, 3, 3), "v": (24, 5)}, x=("n", 3, "h", 6)))
    torch.compiler.reset()
    compiled = torch.compile(module, backend=backend, fullgraph=True)
    for x in (torch.randn(2, 3, 6, 6), torch.randn(3, 3, 5, 6)):
        assert torch.allclose(compiled(x), module(x), atol=1e-5)
    compiled(x).sum().backward()
    assert all(value.grad is not None for value in module.parameters())


def test_a_network_is_compiled_in_one_piece() -> None:
    module, x = to_torch(FIXTURES / "resnet_fashion.onnx"), torch.randn(2, 1, 28, 28)
    torch.compiler.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.allclose(compiled(x), module(x), atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet_fashion", "resnet_fashion"])
def test_autocast(name: str) -> None:
    module, x = to_torch(FIXTURES / f"{name}.onnx").train(), torch.randn(4, 1, 28, 28)
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x)
        loss = torch.nn.functional.cross_entropy(y, torch.arange(4))
    assert y.dtype == torch.bfloat16
    loss.backward()
    assert all(value.grad is not None and value.grad.dtype == torch.float32 for value in module.parameters())
