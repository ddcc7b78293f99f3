"""Scale of the normalisation that follows a filter."""

from __future__ import annotations

from onnxprune.coupling.groups import Floats, Group, Role
from onnxprune.criteria.norms import absolute_sums
from onnxprune.criteria.registry import as_it_is, register
from onnxprune.criteria.weights import Weights

FOLDED = "bn_scale: no normalisation scale belongs to the channels (exporters fold it); used the L1 norm"


@register("bn_scale", threshold=as_it_is)
def bn_scale(group: Group, weights: Weights) -> Floats:
    """Absolute scale |gamma| of each channel, shape (units,).

    Liu et al. 2017, "Learning Efficient Convolutional Networks through Network Slimming"
    (arXiv 1708.06519). An exporter that folds the normalisation into the convolution multiplies
    the filter by gamma / sigma, so the norm of the folded filter stands in, with a note.
    """
    scales = tuple(s for s in group.slices if s.role is Role.SCALE)
    if not scales:
        weights.note(group, FOLDED)
    return weights.reduced(group, scales or group.filters(), lambda s: absolute_sums(group, s, weights))
