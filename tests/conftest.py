"""Puts the helpers beside this file on the path; takes the clock out of property tests."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

# before NumPy is imported: several test processes share the cores, and BLAS threads that wait for each other
# there are slower than one
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # tests use no network

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile("untimed", deadline=None)  # a loaded machine is no defect
settings.load_profile("untimed")

# what was started in the background ignores these two, and so would the processes that tests send them to
for name in ("SIGINT", "SIGHUP"):
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
