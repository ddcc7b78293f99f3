"""Keras, and the backend that it runs on."""

from __future__ import annotations

import os
import sys
from types import ModuleType

from onnxprune.errors import InputError
from onnxprune.frontends.extras import installed, require

CONVERTED = ("tensorflow", "torch")
"""Backends whose graphs can be exported; the first is the better one, as its graphs are cleaner."""

_VARIABLE = "KERAS_BACKEND"


def import_keras(purpose: str) -> ModuleType:
    """Import Keras on a backend that can be exported; one that runs already is left alone.

    Raises:
        MissingExtraError: Keras, or every backend that could be used, is missing.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    chosen = _choose()
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = chosen
    try:
        require(chosen, purpose)
        return require("keras", purpose)
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


def backend_of(keras: ModuleType) -> str:
    """The name of the running backend.

    Raises:
        InputError: it is one whose graphs cannot be exported.
    """
    name = str(keras.backend.backend())
    if name in CONVERTED:
        return name
    raise InputError(
        f"Keras runs on the backend {name!r}, whose models cannot be exported here.",
        hint=f"Give the file that model.save('model.keras') writes, or start with {_VARIABLE}=tensorflow.",
    )


def _choose() -> str:
    wanted = os.environ.get(_VARIABLE, "")
    if wanted in CONVERTED:
        return wanted
    present = [name for name in CONVERTED if installed(name)]
    return present[0] if present else CONVERTED[0]
