"""Converts one network in a process whose Keras runs on torch: ``keras_on_torch.py NETWORK FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from routes import keras_network

from onnxprune.frontends import convert
from onnxprune.model import save_model


def main(name: str, folder: Path) -> None:
    """Write the model, an input and what Keras makes of it."""
    import torch

    torch.set_num_threads(1)
    with torch.no_grad():
        model, inputs, expected = keras_network(name)
    save_model(convert(model), folder / f"{name}.onnx")
    np.savez(folder / f"{name}.npz", inputs=inputs, expected=expected)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
