"""Pillow, which only images need."""

from __future__ import annotations

from typing import Any

from onnxprune.errors import MissingExtraError


def pillow(purpose: str) -> Any:
    """The module ``PIL.Image``.

    Args:
        purpose: what it is needed for, as the subject of a sentence.

    Raises:
        MissingExtraError: Pillow is not installed; with the pip line.
    """
    try:
        from PIL import Image
    except ImportError as exc:
        raise MissingExtraError(
            f"{purpose} needs Pillow, which is not installed.", hint='pip install "onnxprune[images]"'
        ) from exc
    return Image
