"""What every unit of every group costs when it goes, in terms of the layers that read it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnxprune.calibration.memory import fixed_batch
from onnxprune.calibration.samples import Samples
from onnxprune.coupling.coupling import Coupling
from onnxprune.coupling.groups import Floats, Indices, Role
from onnxprune.model.constants import Array
from onnxprune.reconstruction.collecting import Picker, batch_size, collect
from onnxprune.reconstruction.elimination import Reader, eliminate
from onnxprune.reconstruction.layers import LinearLayer, find_layers
from onnxprune.reconstruction.moments import Moments
from onnxprune.reconstruction.stages import Stages

Progress = Callable[[str], None]


def removal_losses(
    coupling: Coupling,
    samples: Samples,
    *,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Floats]:
    """Runs the model once over the samples and eliminates the units of every group in its mind.

    A loss is the error that is left in the outputs of the reading layers after their other weights have
    made up for the unit, as a share of the variance of the value that those outputs end in: the sum where
    a shortcut joins, else the layer's own output. Shares of different layers can be compared, so that
    counts may be chosen across the model.

    Returns:
        Group -> (units,) the loss at which each unit goes; groups that no weighted layer reads are missing.

    Raises:
        Refusal: ONNX Runtime does not run the model on the samples.
    """
    walk = _Walk(coupling, samples, seed, batch_size(samples, fixed_batch(coupling)), threads)
    return walk.run(progress or (lambda text: None))


class _Walk:
    def __init__(
        self, coupling: Coupling, samples: Samples, seed: int, batch: int, threads: int | None
    ) -> None:
        self.coupling = coupling
        self.seed = seed
        self.groups = coupling.structure.groups
        reading: dict[str, list[int]] = {}
        for place, group in enumerate(self.groups):
            for s in group.slices:
                if s.role is Role.INPUT and not group.held:
                    reading.setdefault(s.layer, []).append(place)
        layers, _ = find_layers(coupling.model)
        self.layers = [layer for layer in layers if layer.name in reading and self._is_known(layer)]
        self.last = {place: layer.name for layer in self.layers for place in reading[layer.name]}
        wanted = [n for layer in self.layers for n in (layer.source, layer.result, _end(layer))]
        self.stages = Stages(coupling.model, samples, batch=batch, threads=threads, wanted=wanted)
        self.readers: dict[int, list[list[Reader]]] = {}

    def run(self, progress: Progress) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for layer in self.layers:
            progress(layer.name)
            for place, readers in self._readers(layer).items():
                self.readers.setdefault(place, []).append(readers)
            for place in [p for p in self.readers if self.last[p] == layer.name]:
                found[self.groups[place].name] = eliminate(self.readers.pop(place), self.groups[place].size)
        return found

    def _is_known(self, layer: LinearLayer) -> bool:
        return {layer.source, layer.result, _end(layer)} <= set(self.coupling.engine.axes)

    def _readers(self, layer: LinearLayer) -> dict[int, list[Reader]]:
        """The layer as a reader of each group whose units it sees, one a convolution group."""
        stored = self.stages.fetch([layer.source, layer.result, _end(layer)])
        inputs, targets = stored[layer.source], stored[layer.result]
        columns = layer.columns
        picker = Picker(layer.name, self.seed, columns, len(inputs))
        if picker.dual:
            return self._by_energy(layer, inputs, _variance(stored[_end(layer)], columns.channel_axis))
        own, held = collect(columns, picker, inputs, targets)
        moments = own + held  # type: ignore[operator]  # both are moments
        assert isinstance(moments, Moments)
        energy = float(_variance(stored[_end(layer)], columns.channel_axis).sum()) or 1.0
        xx, _ = moments.covariance(centred=layer.fits_bias)
        weight = columns.pack(np.asarray(self.coupling.model.constants[layer.weight].values(), np.float64))
        weight = weight * self._factor(layer).reshape(columns.groups, 1, -1)
        channel = columns.channel_of()
        found: dict[int, list[Reader]] = {}
        for place, units in self._units(layer).items():
            of_group = units.reshape(columns.groups, columns.inputs)
            found[place] = [
                Reader(xx[g], weight[g], of_group[g][channel], 1.0 / energy)
                for g in range(columns.groups)
                if (of_group[g] >= 0).any()
            ]
        return found

    def _by_energy(
        self, layer: LinearLayer, inputs: list[Array], variance: Floats
    ) -> dict[int, list[Reader]]:
        """For too many columns: each column by itself, as if they were uncorrelated."""
        columns = layer.columns
        total = sum(
            np.square(v.reshape(-1, v.shape[columns.channel_axis]), dtype=np.float64).sum(axis=0)
            for v in inputs
        )
        rows = sum(v.size // v.shape[columns.channel_axis] for v in inputs)
        weight = columns.pack(np.asarray(self.coupling.model.constants[layer.weight].values(), np.float64))[0]
        level = (total / rows)[columns.channel_of()]
        price = 1.0 / (float(variance.sum()) or 1.0)
        cost = level * np.square(weight).sum(axis=1)
        found = {}
        for place, units in self._units(layer).items():
            size = self.groups[place].size
            own = units[columns.channel_of()]
            summed = np.bincount(own[own >= 0], weights=cost[own >= 0], minlength=size)
            # one column a unit whose loss is the sum: a diagonal reader
            found[place] = [Reader(np.eye(size), np.sqrt(summed)[:, None], np.arange(size), price)]
        return found

    def _units(self, layer: LinearLayer) -> dict[int, Indices]:
        """Unit of each input channel, by group position."""
        axes = self.coupling.engine.axes[layer.source]
        axis = axes[layer.columns.channel_axis]
        rows = self.coupling.units.rows(axis)
        return {g: row for g, row in rows.items() if self.last.get(g) is not None and (row >= 0).any()}

    def _factor(self, layer: LinearLayer) -> Floats:
        factor = np.ones(layer.columns.channels) if layer.meeting is None else layer.meeting.factor
        return np.broadcast_to(factor, (layer.columns.channels,))


def _end(layer: LinearLayer) -> str:
    """The value that the layer's output ends in before something non-linear happens to it."""
    return layer.meeting.total if layer.meeting else layer.result


def _variance(stored: list[Array], axis: int) -> Floats:
    """Variance of each channel over all samples and positions, (channels,)."""
    n, total, square = 0, 0.0, 0.0
    for values in stored:
        rows = np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis])
        n += len(rows)
        total = total + rows.sum(axis=0, dtype=np.float64)
        square = square + np.einsum("rc,rc->c", rows, rows, dtype=np.float64)
    variance: Floats = np.maximum(square / n - (total / n) ** 2, 0.0)
    return variance
