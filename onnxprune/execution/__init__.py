"""Models run by ONNX Runtime: as they are, with weights that are fed, on data or on random inputs."""

from __future__ import annotations

from onnxprune.execution.execution import Execution, Refusal
from onnxprune.execution.program import Program, program_of
from onnxprune.execution.runner import Runner

__all__ = ["Execution", "Program", "Refusal", "Runner", "program_of"]
