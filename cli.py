"""Runs the command line from a checkout: ``python cli.py MODEL --ratio 0.4``."""

from __future__ import annotations

import sys

from onnxprune.cli import main

if __name__ == "__main__":
    sys.exit(main())
