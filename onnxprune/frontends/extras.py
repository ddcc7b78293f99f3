"""Packages that only some installations have, and the line that installs them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from onnxprune.errors import MissingExtraError
from onnxprune.frontends.quiet import muted

EXTRAS = {
    "tensorflow": "keras",
    "keras": "keras",
    "tf2onnx": "keras",
    "h5py": "keras",
    "torch": "torch",
    "onnxscript": "torch",
}
"""Which extra of the package brings a module."""


def installed(name: str) -> bool:
    """Whether a package could be imported, without importing it."""
    if name in sys.modules:
        return sys.modules[name] is not None
    return importlib.util.find_spec(name) is not None


def require(name: str, purpose: str) -> ModuleType:
    """Import a module of an extra.

    Args:
        name: of the module, dots included.
        purpose: what it is needed for, as the subject of a sentence.

    Raises:
        MissingExtraError: it is not installed, or cannot be imported; with the pip line.
    """
    if name in sys.modules and sys.modules[name] is not None:
        return sys.modules[name]
    package = name.partition(".")[0]
    try:
        with muted():
            return importlib.import_module(name)
    except ImportError as exc:
        missing = exc.name if isinstance(exc, ModuleNotFoundError) else None
        what = f"{missing}, which is not installed" if missing else f"{package}, which fails to import: {exc}"
        hint = f'pip install "onnxprune[{EXTRAS[package]}]"'
        raise MissingExtraError(f"{purpose} needs {what}.", hint=hint) from exc
