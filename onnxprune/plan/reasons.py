"""Why a group was left whole, in plain words."""

from __future__ import annotations

from onnxprune.coupling.groups import Group
from onnxprune.plan.align import admissible_counts
from onnxprune.plan.counts import Draft
from onnxprune.plan.field import Field


def reason_left_whole(position: int, field: Field, draft: Draft, *, count: int, grid: int) -> str:
    """Why a group was left whole, in plain words; the first that applies."""
    group = field.structure.groups[position]
    selection = field.selection
    own = selection.ratio_texts.get(group.name, "")
    before = int(draft.counts[position])
    cases = (
        (group.name in selection.whole, selection.whole.get(group.name, "")),
        (selection.ratios.get(group.name) == 0.0, f"its own ratio is 0 (--layer-ratio {own})"),
        (bool(draft.untouched) and not own, draft.untouched),
        (group.size <= 1, "it has a single unit, which has to stay"),
        (count < group.size, "an axis that runs along it would become empty"),
        (before < group.size, _off_grid(group, before, grid)),
        (True, "none of its units is among the least important, or rounding leaves none to remove"),
    )
    return next(text for applies, text in cases if applies)


def _off_grid(group: Group, wanted: int, grid: int) -> str:
    counts = admissible_counts(group, grid, wanted=wanted)
    below = counts[counts < wanted]
    alternative = (
        f"the next count at which convolutions are fast is {below[-1]}, and all of them fit the total better"
        if below.size
        else "its convolutions are fast at no smaller count"
    )
    return f"alignment: {wanted} of {group.size} units would have stayed, but {alternative}"
