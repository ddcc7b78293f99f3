"""Keeps the chatter of TensorFlow and of the exporters off the terminal."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextmanager
def muted() -> Iterator[None]:
    """Send what compiled code writes to standard error nowhere, while TensorFlow is imported or at work.

    It writes from C++, past every Python stream and before its log level counts. ``sys.stderr`` itself
    stays as it is: a package that keeps a reference to it must get the true one.
    """
    with (
        tempfile.TemporaryFile() as nowhere,
        _environment(),
        _descriptor(2, nowhere.fileno()),
        _no_warnings(),
    ):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Turn warnings and Python's logging down while an exporter works, and back up afterwards."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.ERROR))
    try:
        with _no_warnings():
            yield
    finally:
        logging.disable(before)


@contextmanager
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _descriptor(number: int, target: int) -> Iterator[None]:
    """Let a file descriptor point elsewhere; does nothing where there is no such descriptor."""
    try:
        kept = os.dup(number)
    except OSError:
        yield
        return
    _flush()
    try:
        os.dup2(target, number)
        yield
    finally:
        _flush()
        os.dup2(kept, number)
        os.close(kept)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


@contextmanager
def _environment() -> Iterator[None]:
    """Ask TensorFlow for errors only, unless the user has asked for something."""
    if _LOG_LEVEL in os.environ:
        yield
        return
    os.environ[_LOG_LEVEL] = "3"
    try:
        yield
    finally:
        os.environ.pop(_LOG_LEVEL, None)
