"""An inspection on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprune.report.document import target_text
from onnxprune.report.figures import count, percent, plural, printable, share, shortened, size
from onnxprune.report.inspection import GroupRow, Inspection
from onnxprune.report.rows import SCREEN, label
from onnxprune.report.style import INDENT, Signs, emit, grid, signs, width
from onnxprune.report.terminal import reasons, totals

_NARROW = 24


def show_inspection(found: Inspection, console: Console, *, verbose: int = 0) -> None:
    """Print an inspection.

    Args:
        found: what there is to show.
        console: where; its width, colours and encoding are respected.
        verbose: above 0 every group is shown, with all the tensors that its channels run along.
    """
    chars = signs(console)
    room = width(console) - INDENT
    names = {row.name: label(row) for row in found.layers}
    parts: list[RenderableType] = [_headline(found, chars)]
    if verbose:
        parts += [_members(row, found, names, chars) for row in found.groups]
    elif found.prunable:
        parts.append(_groups(found, names, room, chars))
    for head, items in _whole(found, names):
        parts += reasons(items, head)
    if found.planned:
        parts += _planned(found, room, chars)
    else:
        parts.append(Text("--ratio 0.4 adds what pruning would leave of each group", "dim"))
    emit(console, parts)


def _whole(found: Inspection, names: Mapping[str, str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """What stays as it is: a heading, and names with reasons."""
    pinned = [(label(row), row.reason) for row in found.layers if row.status == "pinned"]
    yield f"{len(pinned)} of {plural(len(found.layers), 'layer')} cannot be pruned", pinned
    groups = [(names.get(row.group.name, printable(row.group.name)), row) for row in found.groups]
    held = [(f"{name} ({row.group.size})", row.reason) for name, row in groups if row.group.held]
    yield f"{plural(len(held), 'group')} of channels held", held
    kept = [(name, row.reason) for name, row in groups if row.reason and not row.group.held]
    yield f"{plural(len(kept), 'group')} left whole by this plan", kept


def _headline(found: Inspection, chars: Signs) -> Text:
    source, figures = found.source, found.totals
    opsets = ", ".join(
        f"{'' if domain == 'ai.onnx' else f'{domain} '}{version}"
        for domain, version in source["opset"].items()
    )
    lines = [
        [f"opset {opsets}", f"IR {source['ir_version']}", source["producer"] or "unknown producer"],
        [size(figures["bytes"]), f"{count(figures['params'])} parameters", f"{count(figures['macs'])} MACs"],
        [plural(len(found.layers), "layer"), f"{plural(len(found.groups), 'group')} of coupled channels"],
    ]
    lines[-1].append(f"{len(found.prunable)} prunable")
    text = Text("model in memory" if source["path"] is None else printable(source["path"]), "bold")
    for line in lines:
        text.append("\n" + f" {chars.dot} ".join(map(printable, line)), "not bold dim")
    return text


def _groups(found: Inspection, names: Mapping[str, str], room: int, chars: Signs) -> Table:
    """A line a prunable group: its size, what depends on it, and the layers whose filters it is."""
    rows, half = found.prunable, (SCREEN - 1) // 2
    shown = rows if len(rows) <= SCREEN else (*rows[:half], *rows[-half:])
    cells = [_cells(row, found, names, chars) for row in shown]
    heads = ("group", "channels", "MACs", "params", "coupled with")
    fixed = sum(max(len(own[i]) for own in (heads, *cells)) for i in (1, 2, 3)) + 4 * 2
    first = min(max(len(own[0]) for own in cells), max(_NARROW, (room - fixed) * 3 // 5))
    table = grid("left", "right", "right", "right", "left")
    table.add_row(*(Text(head, "dim") for head in heads))
    for place, own in enumerate(cells):
        if place == half and len(shown) < len(rows):
            gap = f"{plural(len(rows) - len(shown), 'group')} left out, -v shows all"
            table.add_row(Text(gap[:first], "dim italic"))
        last = max(8, room - fixed - first)
        others = shortened(own[4], last - len(own[5])) + own[5]
        table.add_row(shortened(own[0], first), *own[1:4], others)
    return table


def _cells(row: GroupRow, found: Inspection, names: Mapping[str, str], chars: Signs) -> tuple[str, ...]:
    """Name, channels, shares of MACs and parameters, the next layer coupled, and how many more."""
    layers = [names.get(name, printable(name)) for name in row.group.layers if name != row.group.name]
    return (
        names.get(row.group.name, printable(row.group.name)),
        _channels(row, chars),
        percent(share(found.totals["macs"], row.macs)) if found.totals["macs"] else chars.dash,
        percent(share(found.totals["params"], row.params)),
        layers[0] if layers else "",
        f" +{len(layers) - 1}" if len(layers) > 1 else "",
    )


def _members(row: GroupRow, found: Inspection, names: Mapping[str, str], chars: Signs) -> Text:
    """A group with every tensor axis that its channels run along."""
    name, channels, macs, params, *_ = _cells(row, found, names, chars)
    text = Text.assemble(
        (name, "bold"), f"  {channels} channels, {macs} of the MACs, {params} of the parameters"
    )
    if row.reason:
        text.append(f"\n{printable(row.reason)}", "yellow")
    for member in row.group.slices:
        text.append(f"\n  {member.role.value:<6}  ", "cyan")
        text.append(f"{printable(member.constant)} axis {member.axis} ({len(member.units)})")
        layer = names.get(member.layer, printable(member.layer))
        if layer != printable(member.constant):
            text.append(f"  {layer}", "dim")
    return text


def _channels(row: GroupRow, chars: Signs) -> str:
    if row.kept is None or row.kept == row.group.size:
        return f"{row.group.size}"
    return f"{row.group.size} {chars.arrow} {row.kept}"


def _planned(found: Inspection, room: int, chars: Signs) -> list[RenderableType]:
    """What the plan would leave."""
    figures = {name: (found.totals[name], after) for name, after in found.planned.items()}
    return [Text(f"{target_text(found.settings)} would leave", "bold"), totals(figures, room, chars)]
