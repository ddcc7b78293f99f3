"""Lets torchvision be imported beside a CPU-only build of torch.

The torchvision wheels of the package index are linked against the CUDA libraries. Where these are missing
its compiled operators do not load, and its import stops at the first of them that it looks up. Declaring
the two names is enough for the networks and transforms; calling them would still fail, and nothing here does.
"""

from __future__ import annotations

import torch

_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []  # a library that is collected takes its operators with it


def declare_missing_operators() -> None:
    """Declare the operators whose absence stops ``import torchvision``; does nothing where they exist."""
    missing = [name for name in _OPERATORS if not hasattr(torch.ops.torchvision, name)]
    if not missing:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in missing:
        library.define(name + _SIGNATURE)
    _declared.append(library)
