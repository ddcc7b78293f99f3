"""What became of every group of coupled channels, and which layers it ties together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnxprune.coupling import Coupling, Group
from onnxprune.coupling.coupling import Survivors
from onnxprune.report.document import Change


@dataclass(frozen=True)
class GroupAccount:
    """One group and the nodes whose constants its channels run along.

    Attributes:
        name: of the group.
        channels: units before and after.
        reason: why it was left whole; empty when it lost units.
        members: role (``filter``, ``input``, ``scale``, ``bias``, ``other``) -> nodes in graph order.
    """

    name: str
    channels: Change
    reason: str
    members: Mapping[str, tuple[str, ...]]

    def to_dict(self) -> dict[str, Any]:
        """The entry of the report."""
        return {
            "name": self.name,
            "channels": list(self.channels),
            "reason": self.reason,
            "members": {role: list(nodes) for role, nodes in self.members.items()},
        }


def group_accounts(
    coupling: Coupling, survivors: Survivors, reasons: Mapping[str, str]
) -> tuple[GroupAccount, ...]:
    """What became of every group, in graph order.

    Args:
        coupling: of the source.
        survivors: what surgery left.
        reasons: group -> why it was left whole.
    """
    accounts = []
    for group in coupling.structure.groups:
        left = int(survivors.mask(coupling.units.leaves[group.name]).sum())
        reason = reasons.get(group.name, "") if left == group.size else ""
        accounts.append(GroupAccount(group.name, (group.size, left), reason, _members(group)))
    return tuple(accounts)


def _members(group: Group) -> dict[str, tuple[str, ...]]:
    """Nodes by role, each named once in a role however many of its axes the units run along."""
    found: dict[str, dict[str, None]] = {}
    for own in group.slices:
        found.setdefault(own.role.value, {})[own.layer] = None
    return {role: tuple(nodes) for role, nodes in found.items()}
