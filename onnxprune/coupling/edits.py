"""What fix-ups may ask of what is left, and the edits that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.labels import Axis
from onnxprune.coupling.site import Site


class Survivors(Protocol):
    """Tells which indices of an axis are left."""

    def mask(self, axis: Axis) -> npt.NDArray[np.bool_]:
        """True where the index survives, shape (length,)."""
        ...


@dataclass
class Editor:
    """Collects the edits of one node; surgery carries them out on a copy of the graph.

    Attributes:
        site: the node.
        survivors: what is left of each axis.
        attributes: new attribute values.
        inputs: new constant operands by input position.
        replacement: another operator that reads the first input and these constants instead.
        overlays: operands that stay computed but for the entries where the mask is true.
        same: for a value with known integers, which entries do not depend on the symbolic dims.
    """

    site: Site
    survivors: Survivors
    same: Callable[[str], npt.NDArray[np.bool_]]
    attributes: dict[str, Any] = field(default_factory=dict)
    inputs: dict[int, npt.NDArray[Any]] = field(default_factory=dict)
    overlays: dict[int, tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]] = field(default_factory=dict)
    replacement: tuple[str, tuple[npt.NDArray[Any], ...]] | None = None
    removed_attributes: set[str] = field(default_factory=set)

    def mask(self, axis: Axis) -> npt.NDArray[np.bool_]:
        """True where the index survives."""
        return self.survivors.mask(axis)

    def count(self, axis: Axis) -> int:
        """Number of surviving indices."""
        return int(self.mask(axis).sum())

    def before(self, axis: Axis, position: int) -> int:
        """Number of surviving indices before a position."""
        return int(self.mask(axis[:position]).sum())

    def is_cut(self, axis: Axis) -> bool:
        """Whether the axis lost an index."""
        return not bool(self.mask(axis).all())

    def replace(self, op_type: str, *constants: npt.NDArray[Any]) -> None:
        """Let another operator, without attributes, compute the same from the first input."""
        self.replacement = (op_type, constants)

    def set_attribute(self, name: str, value: Any) -> None:
        """Give an attribute a new value."""
        self.attributes[name] = value

    def set_integers(self, name: str, i: int, values: Sequence[int]) -> None:
        """Give an operand, an attribute in older opsets, wholly new integers."""
        if self.site.attribute(name) is not None or not self.site.has(i):
            self.attributes[name] = [int(v) for v in values]
            return
        old = self.site.value(i)
        self.inputs[i] = np.asarray(values, dtype=np.int64 if old is None else old.dtype)

    def set_entries(self, name: str, i: int, entries: Mapping[int, int]) -> None:
        """Give single entries of an operand new values and leave the others as they are.

        Where the others are computed from dynamic sizes they stay computed.
        """
        if not entries:
            return
        given = self.site.attribute(name)
        if given is not None:
            self.attributes[name] = [entries.get(k, int(v)) for k, v in enumerate(given)]
            return
        old = self.site.value(i)
        assert old is not None  # the rule has followed this operand, so its value is known
        new = old.copy()
        for k, v in entries.items():
            new.reshape(-1)[k] = v
        others_static = self.same(self.site.node.input[i]).reshape(-1)
        if all(others_static[k] or k in entries for k in range(old.size)):
            self.inputs[i] = new
        else:
            self.overlays[i] = (np.array([k in entries for k in range(old.size)]), new)
