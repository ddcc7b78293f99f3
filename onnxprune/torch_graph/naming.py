"""Names of a file as names of attributes."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container


def legal(name: str, taken: Container[str]) -> str:
    """A name as an identifier that is not taken yet: dots and other signs become underscores.

    ``conv1.weight`` becomes ``conv1_weight``; where that is taken, ``conv1_weight_1``.
    """
    base = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    if base[0].isdigit() or keyword.iskeyword(base):
        base = f"_{base}"
    found, count = base, 0
    while found in taken:
        count += 1
        found = f"{base}_{count}"
    return found


class Attributes:
    """The attributes that a module has, as a container of names."""

    def __init__(self, module: object) -> None:
        self._module = module

    def __contains__(self, name: object) -> bool:
        return hasattr(self._module, str(name))
