"""Binds the axes of a node's operands to the words of a pattern and derives its results."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from onnxprune.coupling.labels import Axis, Labels
from onnxprune.coupling.notation import PASSING, WHOLE, Word, is_run, parse
from onnxprune.coupling.site import Unfollowable

Axes = list[Axis]


class Binding:
    """What each name of a pattern stands for at one node.

    Args:
        labels: the labels of the model.
        lengths: lengths of names that only an attribute tells (``group``, head counts).
    """

    def __init__(self, labels: Labels, lengths: dict[str, int]) -> None:
        self.labels = labels
        self.lengths = dict(lengths)
        self.axes: dict[str, Axis] = {}
        self.passing: Axes = []

    def __getitem__(self, name: str) -> Axis:
        return self.axes[name]

    def take(self, words: Sequence[Word], axes: Axes) -> None:
        """Bind one operand, or equate it with what is bound already."""
        runs = [k for k, word in enumerate(words) if is_run(word)]
        named = len(words) - len(runs)
        if len(axes) < named or (not runs and len(axes) != named):
            raise Unfollowable(f"an operand of {len(axes)} axes where {named} are expected")
        if not runs:
            for word, axis in zip(words, axes, strict=True):
                self._take_axis(word, axis)
            return
        head, tail = runs[0], len(words) - runs[0] - 1
        middle = axes[head : len(axes) - tail]
        for word, axis in zip(words[:head], axes[:head], strict=True):
            self._take_axis(word, axis)
        for word, axis in zip(words[head + 1 :], axes[len(axes) - tail :], strict=True):
            self._take_axis(word, axis)
        if words[head] == (WHOLE,):
            for axis in middle:
                self.labels.pin(axis, "it is a spatial axis")
        else:
            self._take_passing(middle)

    def give(self, words: Sequence[Word], shape: Sequence[int]) -> Axes:
        """The axes of a result; lengths of whole axes come from its shape."""
        axes: Axes = []
        for k, word in enumerate(words):
            if word == (WHOLE,):
                count = len(shape) - (len(words) - 1)
                axes += [self.labels.pinned(n, "it is a spatial axis") for n in shape[k : k + count]]
            elif word == (PASSING,):
                axes += self.passing
            else:
                axes.append(self.labels.product([self._named(name) for name in word]))
        return axes

    def _named(self, name: str) -> Axis:
        if name.isdigit():
            return self.labels.pinned(int(name), "it is an axis of fixed length")
        return self.axes[name]

    def _take_axis(self, word: Word, axis: Axis) -> None:
        if all(name in self.axes or name.isdigit() for name in word):
            bound = self.labels.product([self._named(name) for name in word])
            if len(bound) != len(axis):
                raise Unfollowable(f"axes of {len(bound)} and {len(axis)} indices do not match")
            self.labels.equate(bound, axis)
            return
        parts = self.labels.split(axis, self._factor_lengths(word, len(axis)))
        for name, part in zip(word, parts, strict=True):
            if name.isdigit():
                self.labels.pin(part, "it is an axis of fixed length")
            elif name in self.axes:
                self.labels.equate(self.axes[name], part)
            else:
                self.axes[name] = part
                self.lengths[name] = len(part)

    def _factor_lengths(self, word: Word, length: int) -> list[int]:
        known = [int(name) if name.isdigit() else self.lengths.get(name) for name in word]
        rest = prod(n for n in known if n is not None)
        unknown = known.count(None)
        if unknown > 1 or (unknown and (not rest or length % rest)):
            raise Unfollowable(f"an axis of {length} indices cannot be taken apart into ({' '.join(word)})")
        full = [length // rest if n is None else n for n in known]
        if prod(full) != length:
            raise Unfollowable(f"an axis of {length} indices is not ({' '.join(word)})")
        return full

    def _take_passing(self, axes: Axes) -> None:
        if not self.passing:
            self.passing = list(axes)
            return
        self.passing = broadcast(self.labels, [self.passing, axes])


def broadcast(labels: Labels, operands: Sequence[Axes]) -> Axes:
    """Equate axes as NumPy broadcasting aligns them; axes of length one stay apart.

    A length-one axis against a longer one must not vanish, so it is pinned.
    """
    rank = max((len(axes) for axes in operands), default=0)
    result: Axes = []
    for k in range(-rank, 0):
        aligned = [axes[k] for axes in operands if len(axes) >= -k]
        length = max(len(axis) for axis in aligned)
        wide = [axis for axis in aligned if len(axis) == length]
        for axis in aligned:
            if len(axis) != length:
                labels.pin(axis, "it is broadcast")
        for axis in wide[1:]:
            labels.equate(wide[0], axis)
        result.append(wide[0])
    return result


def match(labels: Labels, text: str, operands: Sequence[Axes | None], lengths: dict[str, int]) -> Binding:
    """Bind the operands of a node to a pattern; missing optional operands are None.

    Raises:
        Unfollowable: an operand does not have the stated form.
    """
    binding = Binding(labels, lengths)
    for words, axes in zip(parse(text).inputs, operands, strict=False):
        if axes is not None:
            binding.take(words, axes)
    return binding
