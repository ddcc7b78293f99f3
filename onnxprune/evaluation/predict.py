"""Runs a model on batches of any size, also where the file fixes its batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxprune.errors import InputError
from onnxprune.execution import Refusal, Runner
from onnxprune.model.constants import Array
from onnxprune.model.model import Model
from onnxprune.model.naming import quoted

Predict = Callable[[Mapping[str, Array]], Mapping[str, Any]]
"""From a batch, input name -> array with samples along the first axis, to outputs by name."""


def predictor(model: Model, *, threads: int | None = None, outputs: Sequence[str] | None = None) -> Predict:
    """A function that runs a model.

    A batch of another size than a file fixes is run in parts of that size, the last one filled up with
    its own last sample. An input of another name is taken where there is only one.

    Args:
        model: to run.
        threads: of ONNX Runtime; None leaves the choice to it.
        outputs: values to return, None for the outputs of the graph.

    Raises:
        InputError: ONNX Runtime does not load the model; the function raises it where it does not run.
    """
    try:
        runner = Runner(model, outputs=outputs, threads=threads)
    except Refusal as exc:
        raise refused(model, "load", exc) from exc
    feeding = Feeding(model)

    def run(feed: Mapping[str, Array]) -> Mapping[str, Any]:
        try:
            return feeding.joined([(runner.run(part.feed), part.count) for part in feeding.parts(feed)])
        except Refusal as exc:
            raise refused(model, "run on these data", exc) from exc

    return run


@dataclass(frozen=True, eq=False)
class Part:
    """Some samples of a batch.

    Attributes:
        feed: input name -> array.
        count: how many of them are wanted; the rest fills the batch up.
    """

    feed: Mapping[str, Array]
    count: int


class Feeding:
    """How a model takes a batch of any size.

    Args:
        model: whose inputs are fed.
    """

    def __init__(self, model: Model) -> None:
        self._inputs = [value for value in model.proto.graph.input if value.name not in model.constants]
        fixed = {size for value in self._inputs if (size := _first_size(value))}
        self._size = fixed.pop() if len(fixed) == 1 else 0

    def parts(self, feed: Mapping[str, Array]) -> list[Part]:
        """The batch as the model takes it: whole, or in parts of the size that its file fixes."""
        if len(self._inputs) == 1 and len(feed) == 1:
            feed = {self._inputs[0].name: next(iter(feed.values()))}
        count = len(next(iter(feed.values())))
        size = self._size or count
        return [_part(feed, start, size, min(size, count - start)) for start in range(0, count, size)]

    def joined(self, outputs: Sequence[tuple[Mapping[str, Any], int]]) -> Mapping[str, Any]:
        """The outputs of all parts as those of the batch; of each part the wanted number of samples."""
        if len(outputs) == 1 and outputs[0][1] >= self._size:
            return outputs[0][0]
        names = outputs[0][0]
        return {name: _joined([(own[name], count) for own, count in outputs], self._size) for name in names}


def _part(feed: Mapping[str, Array], start: int, size: int, count: int) -> Part:
    own = {name: values[start : start + count] for name, values in feed.items()}
    if count < size:
        own = {name: np.concatenate([v, np.repeat(v[-1:], size - count, 0)]) for name, v in own.items()}
    return Part(own, count)


def _joined(parts: list[tuple[Any, int]], size: int) -> Any:
    """The outputs of all parts; what has no axis of samples is taken as it is."""
    first = parts[0][0]
    if isinstance(first, np.ndarray) and first.ndim:
        return np.concatenate([value[:count] if len(value) == size else value for value, count in parts])
    return first


def _first_size(value: Any) -> int:
    dims = value.type.tensor_type.shape.dim
    return int(dims[0].dim_value) if len(dims) else 0


def refused(model: Model, what: str, exc: Refusal) -> InputError:
    """The error for a model that ONNX Runtime does not load or run."""
    name = "The model" if model.path is None else quoted(model.path)
    return InputError(
        f"{name} does not {what}: {exc}.",
        hint="Its inputs have to fit the data: names, types, shapes; see --preprocess.",
    )
