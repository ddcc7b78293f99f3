"""Trained values back into the graph that they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from onnx import ModelProto
from torch import Tensor

from onnxprune.errors import UsageError
from onnxprune.model.assemble import hollow
from onnxprune.model.constants import Array, Constant, Constants
from onnxprune.model.inline import inline_functions
from onnxprune.model.model import Model
from onnxprune.model.naming import quoted
from onnxprune.torch_graph.batch_norm import folded
from onnxprune.torch_graph.module import OnnxModule
from onnxprune.torch_graph.sharing import Separated, separate
from onnxprune.torch_graph.storage import to_array


def write(module: OnnxModule, model: Model) -> Model:
    """The model with the values of a module; see ``onnxprune.write_back``."""
    plain = inline_functions(model)
    separated = separate(plain)
    state = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers())}
    values = {name: state[path] for name, path in module.initializer_names.items()}
    fused, biases = folded(module, state)
    changed = _changed({**values, **fused}, separated.model.constants)
    if not changed and not biases:
        return model
    kept = {name: constant for name, constant in changed.items() if name not in separated.copies}
    constants = plain.constants.with_changes(kept)
    added = [*_apart(separated, changed, constants)]
    added += [_bias(weight, bias, constants) for weight, bias in biases.items()]
    proto = _with_initializers(plain.proto, added)
    _read_copies(proto, separated, {constant.name for constant in added})
    _read_biases(proto, {weight: _bias_name(weight, constants) for weight in biases})
    return replace(plain, proto=proto, constants=constants.with_changes({c.name: c for c in added}))


def _changed(values: Mapping[str, Tensor], constants: Constants) -> dict[str, Constant]:
    """The constants whose values in the module are other ones, with these values."""
    changed = {}
    for name, tensor in values.items():
        constant = constants.get(name)
        if constant is None or constant.shape != tuple(tensor.shape):
            raise UsageError(
                f"The module was not made from this model: its constant {quoted(name)} is missing or has "
                "another shape.",
                hint="Give the model that to_torch was given.",
            )
        source = constant.values()
        now = to_array(tensor, source.dtype)
        if not _same_bits(now, source):
            changed[name] = constant.replaced(np.array(now, order="C"))
    return changed


def _apart(separated: Separated, changed: Mapping[str, Constant], constants: Constants) -> Iterable[Constant]:
    """The copies of merged vectors that are no longer equal to what they were copied from."""
    for name, source in separated.copies.items():
        constant = changed.get(name, separated.model.constants[name])
        if not _same_bits(constant.values(), constants[source].values()):
            yield constant.replaced(constant.values())


def _bias(weight: str, bias: Tensor, constants: Constants) -> Constant:
    """The bias of a convolution that had none, as a constant of the type of its weight."""
    like = constants[weight]
    values = to_array(bias, like.values().dtype)
    return replace(like, name=_bias_name(weight, constants)).replaced(values)


def _bias_name(weight: str, constants: Constants) -> str:
    name = f"{weight}.bias"
    while name in constants:
        name += "_"
    return name


def _with_initializers(proto: ModelProto, added: Iterable[Constant]) -> ModelProto:
    """A copy of a graph with places for more constants."""
    edited = ModelProto()
    edited.CopyFrom(proto)
    for constant in added:
        hollow(edited.graph.initializer.add(name=constant.name), constant)
    return edited


def _read_copies(proto: ModelProto, separated: Separated, added: set[str]) -> None:
    for name in separated.copies:
        if name in added:
            for position, i in separated.places[name]:
                proto.graph.node[position].input[i] = name


def _read_biases(proto: ModelProto, names: Mapping[str, str]) -> None:
    for node in proto.graph.node:
        if node.op_type == "Conv" and node.input[1] in names:
            name = names[node.input[1]]
            node.input[2:] = [name]


def _same_bits(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    raw = np.dtype(f"u{one.dtype.itemsize}")
    return bool(np.array_equal(np.ascontiguousarray(one).view(raw), np.ascontiguousarray(other).view(raw)))
