"""The torch module that computes what an ONNX graph computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from torch import Tensor, fx, nn

from onnxprune.errors import UsageError
from onnxprune.model.naming import quoted


class Inserted(NamedTuple):
    """A batch normalisation that the source does not have, behind a convolution.

    Attributes:
        path: of the normalisation in the module.
        weight: constant of the convolution.
        bias: constant of its bias, empty where it has none.
        start: its parameters and statistics as they were inserted: while they stay so, it changes nothing.
        factor: that each filter was multiplied by, (filters,), powers of two; the normalisation undoes it.
    """

    path: str
    weight: str
    bias: str
    start: tuple[Tensor, ...]
    factor: Tensor


class OnnxModule(nn.Module):  # type: ignore[misc]
    """An ONNX graph as a module of torch, differentiable in its weights.

    Called with one tensor a graph input, in graph order or by name, it returns the tensor of the graph's
    output, or a tuple in graph order where there are several.

    Attributes:
        initializer_names: for each constant of the graph that became a parameter, or a statistic of a batch
            normalisation, its name in the file and the path of the parameter or buffer in this module.
        input_names: names of the inputs, in order.
        output_names: names of the values that it returns, in order.
        batch_size: length of the leading axis that the inputs must have, None where any will do.
        inserted: batch normalisations that the source does not have.
    """

    initializer_names: Mapping[str, str]

    def __init__(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.input_names = tuple(inputs)
        self.output_names = tuple(outputs)
        self.initializer_names = MappingProxyType({})
        self.batch_size: int | None = None
        self.inserted: tuple[Inserted, ...] = ()
        self._graph: fx.Graph | None = None
        self._source = ""
        self._names: dict[str, Any] = {}
        self._program: Callable[..., Any] | None = None

    def forward(self, *inputs: Tensor, **named: Tensor) -> Any:
        """Run the graph.

        Args:
            inputs: one tensor a graph input, in graph order.
            named: the inputs that are not given by position, by their names in the graph.

        Raises:
            UsageError: an input is missing, given twice, or unknown; or the graph was exported for one batch
                size, and the inputs have another.
        """
        if named or len(inputs) != len(self.input_names):
            inputs = self._ordered(inputs, named)
        if self.batch_size is not None:
            self._check_batch(inputs)
        return self._program(self, *inputs)  # type: ignore[misc]

    def _ordered(self, inputs: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        left = self.input_names[len(inputs) :]
        unknown = [name for name in named if name not in left]
        missing = [name for name in left if name not in named]
        if unknown or missing or len(inputs) > len(self.input_names):
            wrong = f"{quoted(unknown[0])} is unknown or given twice" if unknown else ""
            wrong = wrong or (f"{quoted(missing[0])} is missing" if missing else "there are too many")
            raise UsageError(
                f"The inputs do not fit: {wrong}.",
                hint=f"Give, in this order or by name: {', '.join(map(quoted, self.input_names))}.",
            )
        return (*inputs, *(named[name] for name in left))

    def _check_batch(self, inputs: tuple[Tensor, ...]) -> None:
        found = next((x.shape[0] for x in inputs if x.dim()), self.batch_size)
        if found != self.batch_size:
            raise UsageError(
                f"The graph was exported for a batch of {self.batch_size} and computes something else for a "
                f"batch of {found}.",
                hint="Export it with a dynamic batch, or give as many samples as it was exported for.",
            )

    def attach(self, graph: fx.Graph) -> None:
        """Take over the finished graph: generate its code and compile it."""
        self._graph = graph
        code = graph.python_code("self")
        self._source, self._names = code.src, dict(code.globals)
        self._compile()

    def _compile(self) -> None:
        scope = dict(self._names)
        exec(compile(self._source, "<onnxprune.torch_graph>", "exec"), scope)
        self._program = scope["forward"]

    @property
    def graph(self) -> fx.Graph:
        """The graph of torch functions; to change it, edit it and ``attach`` it again.

        Raises:
            UsageError: the module is a copy, which has only the compiled code.
        """
        if self._graph is None:
            raise UsageError(
                "A copy of a module has no graph that could be edited.",
                hint="Edit the module that to_torch returned, and copy it afterwards.",
            )
        return self._graph

    @property
    def code(self) -> str:
        """The Python code that runs the graph."""
        return self._source

    def __getstate__(self) -> dict[str, Any]:
        """Without what cannot be copied: the compiled code, which is made anew, and the graph."""
        modules = {
            name: value.__name__ for name, value in self._names.items() if isinstance(value, ModuleType)
        }
        names = {name: value for name, value in self._names.items() if name not in modules}
        state = {**self.__dict__, "_names": names, "_program": modules, "_graph": None}
        return {**state, "initializer_names": dict(self.initializer_names)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        modules = state["_program"]
        super().__setstate__({**state, "initializer_names": MappingProxyType(state["initializer_names"])})
        self._names |= {name: import_module(path) for name, path in modules.items()}
        self._compile()


class BatchNorm(nn.modules.batchnorm._BatchNorm):  # type: ignore[misc]
    """Batch normalisation of inputs of any rank: statistics of the batch in training, running ones else."""

    def _check_input_dim(self, x: Tensor) -> None:
        """Any rank will do."""


class DropoutByRatio(nn.Module):  # type: ignore[misc]
    """Dropout whose ratio is computed by the graph."""

    def forward(self, x: Tensor, ratio: Tensor) -> Tensor:
        """Drop elements, in training mode only."""
        return nn.functional.dropout(x, float(ratio), self.training)


def batch_norm(
    scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *, epsilon: float, momentum: float
) -> BatchNorm:
    """A batch normalisation with given parameters and running statistics, all of shape (channels,).

    Args:
        scale: a parameter, shared where it is.
        bias: a parameter.
        mean: running mean, taken as the buffer.
        variance: running variance.
        epsilon: added to the variance.
        momentum: the share of the batch in the running statistics; one minus that of ONNX.
    """
    module = BatchNorm(len(scale), eps=epsilon, momentum=momentum, dtype=mean.dtype)
    module.weight, module.bias = scale, bias
    module.running_mean, module.running_var = mean, variance
    return module
