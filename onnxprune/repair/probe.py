"""Reads what inner values hold on one random input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from onnx import helper

from onnxprune.coupling import Coupling
from onnxprune.execution.execution import Execution, Refusal
from onnxprune.execution.inputs import SIZES, Undrawable, draw, inputs_of, is_symbolic
from onnxprune.execution.program import program_of
from onnxprune.model.constants import Array


def probe(coupling: Coupling, names: Iterable[str]) -> Mapping[str, Array]:
    """Values by name on one random input; none where the model does not run.

    Args:
        coupling: of the model.
        names: float values of the main graph.
    """
    wanted = sorted(set(names) & set(coupling.engine.axes))
    if not wanted:
        return {}
    program = program_of(coupling.model)
    declared = {value.name for value in program.proto.graph.output}
    data_type = _float_type(coupling)
    for name in wanted:
        if name not in declared:
            program.proto.graph.output.append(helper.make_tensor_value_info(name, data_type, None))
    try:
        inputs = inputs_of(coupling)
        execution = Execution(program, threads=1)
    except (Undrawable, Refusal):
        return {}
    for sizes in SIZES if is_symbolic(inputs) else SIZES[:1]:
        try:
            found = execution.run(draw(inputs, sizes, seed=0))
        except Refusal:
            continue
        return {name: np.asarray(found[name]) for name in wanted}
    return {}


def _float_type(coupling: Coupling) -> int:
    """Element type of the model's activations: that of most of its float constants."""
    types = [c.data_type for c in coupling.model.constants.values() if c.is_float]
    return max(set(types), key=types.count)
