"""The command line: a thin client of ``onnxprune.api``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: without the program's name, None for those of the process.
    """
    from onnxprune.cli import stdout
    from onnxprune.cli.signals import Ended, raised

    if arguments is None:
        _keep_to_itself()
    stdout.open_all()
    try:
        with raised():
            from onnxprune.cli.app import run  # in here, so that an interrupt while it loads is caught too

            return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        stdout.complain("error: interrupted.\n")
        return 130
    except Ended as end:
        stdout.complain(f"error: {end.message}\n")
        return end.code


def _keep_to_itself() -> None:
    """Let ONNX Runtime report nothing about models and machine, unless the user has said what it may do.

    It looks at this variable when it is loaded. Only where the process is ours: where the Python interface
    is used, variables belong to the program that uses it.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
