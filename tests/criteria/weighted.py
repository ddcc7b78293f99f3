"""Groups over real arrays, built by hand: what criteria read."""

from __future__ import annotations

import numpy as np
from onnx import helper

from onnxprune.coupling.groups import Group, Role, SizeModel, Slice, Structure
from onnxprune.model.constants import Constant, Constants

NO_COSTS = SizeModel((), (), (), ())


def constants_of(**arrays):
    """Constants by name; a name's double underscore stands for the dot of exporters."""
    found = {}
    for key, array in arrays.items():
        name = key.replace("__", ".")
        data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        found[name] = Constant(name, array.shape, data_type, lambda array=array: array)
    return Constants(found)


def along(constant, axis, units, role=Role.FILTER, layer=""):
    """One axis of a constant; ``units`` is a length (one index, one unit) or the units themselves."""
    positions = np.arange(units) if isinstance(units, int) else np.array(units)
    return Slice(constant, axis, positions, role, layer or constant.split(".")[0])


def group_of(name, size, *slices):
    filters = tuple(s.layer for s in slices if s.role is Role.FILTER)
    return Group(name, size, tuple(slices), filters)


def structure_of(*groups):
    return Structure(groups, (), NO_COSTS)


def loop_norms(array, axis, units, size, norm):
    """The norm of every unit's weights, by plain loops over units and indices."""
    result = []
    for unit in range(size):
        values = []
        for index, owner in enumerate(units):
            if owner == unit:
                values += [float(v) for v in np.take(array, index, axis=axis).ravel()]
        result.append(NORMS[norm](values))
    return np.array(result)


NORMS = {
    "l1": lambda values: sum(abs(v) for v in values),
    "l2": lambda values: sum(v * v for v in values) ** 0.5,
    "linf": lambda values: max((abs(v) for v in values), default=0.0),
    "squares": lambda values: sum(v * v for v in values),
}
