"""Which groups may lose units, and which have a ratio of their own, by the user's globs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice

from onnxprune.coupling.groups import Group, Layer, Structure
from onnxprune.errors import UsageError
from onnxprune.plan.targets import parse_share

Match = tuple[str, str]
"""The name that a glob matched, and what it is the name of (``layer``, ``weight``, ``group``)."""


@dataclass(frozen=True)
class Selection:
    """What the user's globs say about each group.

    Attributes:
        whole: group -> why it is left whole.
        ratios: group -> its own ratio, where one was given; also for groups in ``whole``.
        ratio_texts: group -> the ``GLOB=R`` that gave the ratio.
    """

    whole: Mapping[str, str]
    ratios: Mapping[str, float]
    ratio_texts: Mapping[str, str]


def parse_layer_ratio(text: str) -> tuple[str, float]:
    """The glob and ratio of ``--layer-ratio GLOB=R``.

    Raises:
        UsageError: not of that form, or not 0 <= R < 1.
    """
    glob, equals, ratio = text.rpartition("=")
    if not (equals and glob):
        hint = "Write it as GLOB=R, such as 'conv1*=0.2'."
        raise UsageError(f"--layer-ratio {text} names no ratio.", hint=hint)
    return glob, parse_share(ratio, option=f"--layer-ratio {glob} =")


def select(
    structure: Structure,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    layer_ratios: Sequence[tuple[str, float]] = (),
) -> Selection:
    """Resolves the globs; they are case sensitive and match names of layers, weights or groups.

    A layer stands for the groups that its output channels belong to. Exclusion beats inclusion,
    and both beat a ratio; of two ratios for a group the later wins.

    Raises:
        UsageError: a glob that matches no name at all, or a ratio that is none.
    """
    names = _Names(structure)
    whole: dict[str, str] = {group.name: group.held for group in structure.groups if group.held}
    included = {name for glob in include for name in names.matches(glob, "--include")}
    if include:
        asked = ", ".join(repr(glob) for glob in include)
        for group in structure.groups:
            if group.name not in included:
                whole.setdefault(group.name, f"none of its layers matches --include {asked}")
    for glob in exclude:
        for name, (matched, kind) in names.matches(glob, "--exclude").items():
            whole.setdefault(name, f"excluded: the {kind} {matched!r} matches --exclude {glob!r}")
    ratios: dict[str, float] = {}
    texts: dict[str, str] = {}
    for glob, given in layer_ratios:
        ratio = parse_share(given, option=f"--layer-ratio {glob} =")
        for name in names.matches(glob, "--layer-ratio"):
            ratios[name], texts[name] = ratio, f"{glob}={ratio:g}"
    return Selection(whole, ratios, texts)


class _Names:
    """Every name that a glob can mean, with the groups behind it."""

    def __init__(self, structure: Structure) -> None:
        self._groups: dict[Match, set[str]] = {}
        self._order = [group.name for group in structure.groups]
        for layer in structure.layers:
            self._add_layer(layer)
        for group in structure.groups:
            self._add_group(group)

    def matches(self, glob: str, option: str) -> dict[str, Match]:
        """Groups that a glob means, in graph order, each with the first name that matched."""
        found: dict[str, Match] = {}
        any_name = False
        for match, groups in self._groups.items():
            # the name itself too: brackets in it would otherwise be read as a pattern
            if match[0] == glob or fnmatchcase(match[0], glob):
                any_name = True
                for group in groups:
                    found.setdefault(group, match)
        if not any_name:
            examples = ", ".join(repr(name) for name in islice(self._distinct(), 5))
            raise UsageError(
                f"{option} {glob!r} matches no layer, weight or group.",
                hint=f"Names are case sensitive; some that exist: {examples or 'none'}.",
            )
        return {name: found[name] for name in self._order if name in found}

    def _distinct(self) -> Iterable[str]:
        return dict.fromkeys(name for name, _ in self._groups)

    def _add_layer(self, layer: Layer) -> None:
        self._groups.setdefault((layer.name, "layer"), set()).update(layer.groups)
        if layer.weight:
            self._groups.setdefault((layer.weight, "weight"), set()).update(layer.groups)

    def _add_group(self, group: Group) -> None:
        for layer in group.layers:
            self._groups.setdefault((layer, "layer"), set()).add(group.name)
        for slice in group.filters():
            self._groups.setdefault((slice.constant, "weight"), set()).add(group.name)
        self._groups.setdefault((group.name, "group"), set()).add(group.name)
