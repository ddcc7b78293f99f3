"""The machine that something was measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
ISA_FLAGS = """avx avx2 fma avx_vnni avx512f avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_int8 amx_bf16
asimd asimdhp asimddp i8mm bf16 sve sve2""".split()
"""Flags of vector instructions that ONNX Runtime has kernels for, as Linux spells them."""
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


@dataclass(frozen=True)
class Machine:
    """Whatever times depend on besides the model.

    Attributes:
        processor: what it calls itself.
        isa: vector instructions that it has, a subset of ``ISA_FLAGS``.
        cores: logical processors.
        system: operating system and architecture.
        python: version.
        onnxruntime: version.
    """

    processor: str
    isa: tuple[str, ...]
    cores: int
    system: str
    python: str
    onnxruntime: str

    def to_dict(self) -> dict[str, Any]:
        """As the JSON reports state it."""
        return {**asdict(self), "isa": list(self.isa)}

    def __str__(self) -> str:
        widest = next((flag for flag in reversed(self.isa) if flag.startswith(("avx", "sve", "asimd"))), "")
        parts = (self.processor, f"{self.cores} cores", widest, f"ONNX Runtime {self.onnxruntime}")
        return ", ".join(part for part in parts if part)


def machine(cpuinfo: Path = CPUINFO) -> Machine:
    """This machine.

    Args:
        cpuinfo: where Linux describes the processor; elsewhere the file is missing.
    """
    facts = _facts(cpuinfo)
    flags = set(facts.get("flags", facts.get("Features", "")).split())
    return Machine(
        processor=facts.get("model name") or _asked(),
        isa=tuple(flag for flag in ISA_FLAGS if flag in flags),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        onnxruntime=runtime_version(),
    )


def runtime_version() -> str:
    """Version of ONNX Runtime, read without loading it; it comes under several names."""
    for name in _RUNTIMES:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def _facts(cpuinfo: Path) -> dict[str, str]:
    """The last processor of the list; all are alike where it matters here."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return dict(re.findall(r"^([\w ]+?)\s*:[ \t]*(.*?)\s*$", text, re.MULTILINE))


@lru_cache(maxsize=1)
def _asked() -> str:
    """The processor's name from the system."""
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    return platform.processor() or platform.machine()
