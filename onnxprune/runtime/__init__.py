"""What running a model costs: latency, memory, and where the time goes."""

from __future__ import annotations
