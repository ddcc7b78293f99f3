"""From a model to a module of torch."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from onnxprune.errors import UsageError
from onnxprune.model.inline import inline_functions
from onnxprune.model.load import Source, load_model
from onnxprune.model.model import Model
from onnxprune.model.naming import quoted
from onnxprune.model.trace import trace_pair
from onnxprune.torch_graph import operators
from onnxprune.torch_graph.batch import required_batch
from onnxprune.torch_graph.builder import GraphBuilder
from onnxprune.torch_graph.module import OnnxModule
from onnxprune.torch_graph.roles import trained_constants
from onnxprune.torch_graph.sharing import separate
from onnxprune.torch_graph.storage import Storage

assert operators.REGISTRY  # importing the package fills the registry


def build_module(source: Source, outputs: Sequence[str] | None) -> OnnxModule:
    """The module that computes what a model computes; see ``onnxprune.to_torch``."""
    model = separate(inline_functions(load_model(source))).model
    names = _output_names(model, outputs)
    inputs = [value.name for value in model.proto.graph.input if value.name not in model.constants]
    module = OnnxModule(inputs, names)
    storage = Storage(module, model.constants, trained_constants(model, names))
    traces = trace_pair(model)
    GraphBuilder(model, traces, storage).run(module)
    module.initializer_names = MappingProxyType(dict(storage.names))
    module.eval()
    if not traces.first.freeze.symbolic:
        module.batch_size = required_batch(module, model)
    return module


def _output_names(model: Model, outputs: Sequence[str] | None) -> list[str]:
    if outputs is None:
        return [value.name for value in model.proto.graph.output]
    graph = model.proto.graph
    known = {name for node in graph.node for name in node.output} | {value.name for value in graph.input}
    unknown = [name for name in outputs if name not in known]
    if unknown or not outputs:
        what = f"has no value {quoted(unknown[0])}" if unknown else "is to return nothing"
        raise UsageError(f"The graph {what}.", hint="Name values of the graph as outputs, or leave them out.")
    return list(outputs)
