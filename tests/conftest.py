"""Puts the helpers beside this file on the path; takes the clock out of property tests."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile("untimed", deadline=None)  # a loaded machine is no defect
settings.load_profile("untimed")
