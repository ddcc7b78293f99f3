"""Parameters and buffers of the module, and which constant of the file each of them is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from onnxprune.errors import InputError
from onnxprune.model.constants import Array, Constants
from onnxprune.model.naming import quoted
from onnxprune.torch_graph.module import OnnxModule, batch_norm
from onnxprune.torch_graph.naming import Attributes, legal

_BITS = {"bfloat16": (np.int16, torch.bfloat16)}
"""Types that NumPy does not know: how to look at their bits, and what torch calls them."""
_WIDENED = {"int4": np.int8, "uint4": np.uint8, "int2": np.int8, "uint2": np.uint8}
"""Types that torch does not compute with, and those that hold their values."""
_PARTS = ("weight", "bias", "running_mean", "running_var")
"""Where a batch normalisation of torch keeps what ONNX gives it in this order."""


class Storage:
    """Fills a module with the constants of a graph, each when it is first asked for.

    Args:
        module: to fill.
        constants: of the graph.
        trained: names of those that become parameters.
    """

    def __init__(self, module: OnnxModule, constants: Constants, trained: Collection[str]) -> None:
        self._module = module
        self._constants = constants
        self._trained = frozenset(trained)
        self._parameters: dict[str, nn.Parameter] = {}
        self._paths: dict[str, str] = {}
        self._buffers: dict[str, str] = {}
        self._norms: dict[tuple[object, ...], str] = {}

    @property
    def names(self) -> Mapping[str, str]:
        """Path of the parameter or statistic by name of the constant."""
        return self._paths

    def is_parameter(self, name: str) -> bool:
        """Whether a constant is trained."""
        return name in self._trained

    def parameter(self, name: str) -> nn.Parameter:
        """A constant as a parameter: the same one, however many nodes read it."""
        if name not in self._parameters:
            self._parameters[name] = nn.Parameter(to_tensor(self._constants[name].values()))
        return self._parameters[name]

    def path(self, name: str) -> str:
        """Path of a constant in the module, as a parameter if it is trained, else as a buffer."""
        if name not in self._trained:
            return self.buffer(name, self._constants[name].values())
        if name not in self._paths:
            self._paths[name] = self.free(name)
            self._module.register_parameter(self._paths[name], self.parameter(name))
        return self._paths[name]

    def buffer(self, name: str, values: Array) -> str:
        """Path of values that are not trained."""
        if name not in self._buffers:
            self._buffers[name] = self.free(name)
            self._module.register_buffer(self._buffers[name], self._made(name, values), persistent=False)
        return self._buffers[name]

    def batch_norm(self, names: Sequence[str], *, epsilon: float, momentum: float) -> str:
        """Path of a batch normalisation; nodes that read the same four constants share it.

        Args:
            names: of scale, bias, running mean and running variance.
            epsilon: added to the variance.
            momentum: share of a batch in the running statistics.
        """
        key = (*names, epsilon, momentum)
        if key not in self._norms:
            scale, bias = (self.parameter(name) for name in names[:2])
            mean, variance = (to_tensor(self._constants[name].values()) for name in names[2:])
            module = batch_norm(scale, bias, mean, variance, epsilon=epsilon, momentum=momentum)
            self._norms[key] = self.add_module(names[0].rpartition(".")[0] or names[0], module)
            for name, part in zip(names, _PARTS, strict=True):
                self.place(name, f"{self._norms[key]}.{part}")
        return self._norms[key]

    def add_module(self, name: str, child: nn.Module) -> str:
        """Make a module a part of the whole; returns its path."""
        path = self.free(name)
        self._module.add_module(path, child)
        return path

    def place(self, name: str, path: str) -> None:
        """Note where a constant is kept, unless it is kept elsewhere already."""
        self._paths.setdefault(name, path)

    def keep(self, paths: Collection[str]) -> None:
        """Drop the parameters, buffers and modules that are at none of these paths."""
        for name in [*self._module._parameters, *self._module._buffers, *self._module._modules]:
            if name not in paths:
                delattr(self._module, name)
        found = {name: path for name, path in self._paths.items() if path.partition(".")[0] in paths}
        self._paths = found

    def _made(self, name: str, values: Array) -> Tensor:
        try:
            return to_tensor(values)
        except TypeError as exc:
            raise InputError(
                f"The constant {quoted(name)} holds elements of type {values.dtype.name}, which torch does "
                "not compute with.",
                hint="Export the model with floats or integers of eight bits or more.",
            ) from exc

    def free(self, name: str) -> str:
        """A legal attribute name of the module that is not in use."""
        return legal(name, Attributes(self._module))


def to_tensor(values: Array) -> Tensor:
    """A copy of an array as a tensor of the same type, or of bytes where it holds less.

    Raises:
        TypeError: torch has no such type.
    """
    owned = np.array(values, dtype=_WIDENED.get(values.dtype.name))
    if owned.dtype.name in _BITS:
        bits, dtype = _BITS[owned.dtype.name]
        return torch.from_numpy(owned.view(bits)).view(dtype)
    return torch.from_numpy(owned)


def to_array(tensor: Tensor, dtype: np.dtype) -> Array:
    """The values of a tensor as an array of an element type."""
    values = tensor.detach().cpu()
    if values.dtype == torch.bfloat16:
        values = values.to(torch.float32)
    found: Array = values.numpy().astype(dtype, copy=False)
    return found
