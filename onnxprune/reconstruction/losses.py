"""What every unit of every group costs when it goes, in terms of the layers that read it."""

from __future__ import annotations

import numpy as np

from onnxprune.calibration.samples import Samples
from onnxprune.calibration.watched import Advance
from onnxprune.coupling.coupling import Coupling
from onnxprune.coupling.groups import Floats, Indices, Role
from onnxprune.reconstruction.collecting import Picker, collect, in_batches
from onnxprune.reconstruction.elimination import Reader, eliminate
from onnxprune.reconstruction.layers import LinearLayer, find_layers
from onnxprune.reconstruction.moments import Moments
from onnxprune.reconstruction.stages import Stages, Stored


def removal_losses(
    coupling: Coupling,
    samples: Samples,
    *,
    seed: int = 0,
    threads: int | None = None,
    advance: Advance | None = None,
) -> dict[str, Floats]:
    """Runs the model once over the samples and eliminates the units of every group in its mind.

    A loss is the error that is left in the outputs of the reading layers after their other weights have
    made up for the unit, as a share of the variance of the value that those outputs end in: the sum where
    a shortcut joins, else the layer's own output. Shares of different layers can be compared, so that
    counts may be chosen across the model.

    Args:
        coupling: of the model.
        samples: to run it on; those at the end that do not fill a batch of fixed size are left out.
        seed: of the choice of rows.
        threads: of ONNX Runtime; None leaves the choice to it.
        advance: told how many layers are done, and of how many.

    Returns:
        Group -> (units,) the loss at which each unit goes; groups that no weighted layer reads are missing.

    Raises:
        Refusal: ONNX Runtime does not run the model on the samples.
        UsageError: the model takes a fixed number of samples at a time, and there are fewer.
    """
    return _Walk(coupling, *in_batches(coupling, samples), seed, threads).run(advance)


class _Walk:
    def __init__(
        self, coupling: Coupling, samples: Samples, batch: int, seed: int, threads: int | None
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

    def run(self, advance: Advance | None) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for done, layer in enumerate(self.layers):
            if advance is not None:
                advance(done, len(self.layers))
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
        _, variance = _mean_and_variance(stored[_end(layer)], columns.channel_axis)
        price = 1.0 / (float(variance.sum()) or 1.0)
        picker = Picker(layer.name, self.seed, columns, len(inputs))
        if picker.dual:
            return self._by_energy(layer, inputs, price)
        own, held = collect(columns, picker, inputs, targets)
        moments = own + held  # type: ignore[operator]  # both are moments
        assert isinstance(moments, Moments)
        xx, _ = moments.covariance(centred=layer.fits_bias)
        weight = self._weight(layer)
        channel = columns.channel_of()
        found: dict[int, list[Reader]] = {}
        for place, units in self._units(layer).items():
            of_group = units.reshape(columns.groups, columns.inputs)
            found[place] = [
                Reader(xx[g], weight[g], of_group[g][channel], price)
                for g in range(columns.groups)
                if (of_group[g] >= 0).any()
            ]
        return found

    def _by_energy(self, layer: LinearLayer, inputs: Stored, price: float) -> dict[int, list[Reader]]:
        """For too many columns: each column by itself, as if they were uncorrelated."""
        columns = layer.columns
        mean, level = _mean_and_variance(inputs, columns.channel_axis)
        if not layer.fits_bias:
            level = level + mean**2
        channel = columns.channel_of()
        energy = level.reshape(columns.groups, -1)[:, channel] * np.square(self._weight(layer)).sum(axis=2)
        found = {}
        for place, units in self._units(layer).items():
            size = self.groups[place].size
            own = units.reshape(columns.groups, -1)[:, channel]
            summed = np.bincount(own[own >= 0], weights=energy[own >= 0], minlength=size)
            # one column a unit whose loss is the sum: a diagonal reader
            found[place] = [Reader(np.eye(size), np.sqrt(summed)[:, None], np.arange(size), price)]
        return found

    def _units(self, layer: LinearLayer) -> dict[int, Indices]:
        """Unit of each input channel, by group position."""
        axes = self.coupling.engine.axes[layer.source]
        axis = axes[layer.columns.channel_axis]
        rows = self.coupling.units.rows(axis)
        return {g: row for g, row in rows.items() if self.last.get(g) is not None and (row >= 0).any()}

    def _weight(self, layer: LinearLayer) -> Floats:
        """The weight, by what it counts in the value that the outputs end in, (groups, columns, channels)."""
        stored = self.coupling.model.constants[layer.weight].values()
        factor = np.ones(1) if layer.meeting is None else layer.meeting.factor
        each = np.broadcast_to(factor, (layer.columns.channels,)).reshape(layer.columns.groups, 1, -1)
        weight: Floats = layer.columns.pack(np.asarray(stored, np.float64)) * each
        return weight


def _end(layer: LinearLayer) -> str:
    """The value that the layer's output ends in before something non-linear happens to it."""
    return layer.meeting.total if layer.meeting else layer.result


def _mean_and_variance(stored: Stored, axis: int) -> tuple[Floats, Floats]:
    """Of each channel over all samples and positions, (channels,)."""
    channels = stored[0].shape[axis]
    total, square = np.zeros(channels), np.zeros(channels)
    for values in stored:
        rows = np.moveaxis(values, axis, -1).reshape(-1, channels)
        total += rows.sum(axis=0, dtype=np.float64)
        square += np.einsum("rc,rc->c", rows, rows, dtype=np.float64)
    number = sum(values.size for values in stored) // channels
    mean = total / number
    return mean, np.maximum(square / number - mean**2, 0.0)
