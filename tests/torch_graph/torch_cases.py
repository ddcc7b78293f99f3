"""Runs a model by ONNX Runtime and as a module of torch, and compares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import oracle
import torch
from onnx import helper, numpy_helper, parser

from onnxprune import Model, load_model, to_torch
from onnxprune.torch_graph.storage import to_tensor


def graph_of(
    body: str,
    constants: Mapping[str, Any] | None = None,
    *,
    x: tuple[Any, ...] = (2, 3, 6, 6),
    opset: int = 17,
) -> onnx.ModelProto:
    """A model of nodes in the text syntax of onnx from ``x`` to ``y``; a tuple is a shape of random weights."""
    rng = np.random.default_rng(0)
    graph = parser.parse_graph(f"g (float x) => (float y) {{ {body} }}")
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x))
    for name, given in (constants or {}).items():
        values = (
            rng.standard_normal(given).astype(np.float32) if isinstance(given, tuple) else np.asarray(given)
        )
        graph.initializer.append(numpy_helper.from_array(values, name))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def results(module: torch.nn.Module, feed: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """What a module returns, by the names of the outputs."""
    found = module(*(to_tensor(feed[name]) for name in module.input_names))
    return dict(zip(module.output_names, found if isinstance(found, tuple) else (found,), strict=True))


def difference(model: onnx.ModelProto | Model, module: torch.nn.Module, *, seed: int = 0) -> float:
    """The largest difference to ONNX Runtime, relative to the largest magnitude of each output or 0.01."""
    proto = model.to_proto() if isinstance(model, Model) else model
    feed = oracle.random_feed(proto, seed)
    wanted, found, worst = oracle.run(proto, feed), results(module, feed), 0.0
    for name, want in wanted.items():
        got = found[name].detach().numpy()
        assert got.shape == want.shape, name
        assert got.dtype == want.dtype, name
        finite = np.isfinite(want)
        assert np.array_equal(got[~finite], want[~finite], equal_nan=True), name
        if want.size and finite.any():
            error = np.abs(got[finite].astype(np.float64) - want[finite]).max()
            worst = max(worst, float(error) / max(float(np.abs(want[finite]).max()), 0.01))
    return worst


def check(model: onnx.ModelProto, tolerance: float = 1e-4) -> torch.nn.Module:
    """Compare a model with its module, which is returned."""
    module = to_torch(model)
    assert difference(model, module) <= tolerance
    return module


def backward(module: torch.nn.Module, feed: Mapping[str, np.ndarray]) -> list[str]:
    """Send gradients back from all outputs; returns the parameters that none has reached."""
    differentiable = [y for y in results(module, feed).values() if y.requires_grad]
    sum(y.float().square().sum() for y in differentiable).backward()
    return [name for name, parameter in module.named_parameters() if parameter.grad is None]


def train(module: torch.nn.Module, feed: Mapping[str, np.ndarray], steps: int = 2, lr: float = 1e-3) -> None:
    """A few steps of training on the squares of the outputs; leaves the module in evaluation mode."""
    optimizer = torch.optim.SGD(module.parameters(), lr=lr)
    module.train()
    for _ in range(steps):
        optimizer.zero_grad()
        sum(y.square().mean() for y in results(module, feed).values()).backward()
        optimizer.step()
    module.eval()


__all__ = ["backward", "check", "difference", "graph_of", "load_model", "results", "train"]
