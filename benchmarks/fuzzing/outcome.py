"""What came of an input: a verified result, or one clear error; anything else is a defect."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from fuzzing.cases import MODEL, REPORT, Case

VERIFIED, UNVERIFIED, CLEANED, SHOWN, MISSED, REFUSED = (
    "verified",
    "unverified",
    "cleaned",
    "shown",
    "missed",
    "refused",
)
GOOD = (VERIFIED, CLEANED, UNVERIFIED, SHOWN, MISSED, REFUSED)
"""Ways in which a run may end. ``unverified``: written, and the report says why it could not be compared;
``missed``: written and verified, but a budget was out of reach."""
LARGE = 1 << 26
"""Elements of a value, a sample, by which a model may rightly need more memory than a process has here."""

_OUT_OF_MEMORY = "There is not enough memory"
_BUG = "This is a bug in onnxprune"


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: exit code; negative for a signal.
        stdout: what it said, as bytes.
        stderr: likewise.
        seconds: of processor time.
        peak: largest resident set in bytes.
    """

    code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    peak: int


@dataclass(frozen=True)
class Outcome:
    """A judged run; what is written to the record.

    Attributes:
        number: of the case.
        kind: of the case.
        verdict: one of ``GOOD``, or the name of a defect.
        reason: what was said, names and numbers taken out.
        seconds: of processor time.
        peak: largest resident set in bytes.
        detail: what was done to the model.
    """

    number: int
    kind: str
    verdict: str
    reason: str
    seconds: float
    peak: int
    detail: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it is as promised."""
        return self.verdict in GOOD


def judge(case: Case, ended: Ended, folder: Path) -> Outcome:
    """Compare how a run ended, and what it left in its folder, with what is promised."""
    verdict, reason = _verdict(case, ended, folder)
    return Outcome(case.number, case.kind, verdict, reason, round(ended.seconds, 3), ended.peak, case.detail)


def _verdict(case: Case, ended: Ended, folder: Path) -> tuple[str, str]:
    said = ended.stderr.decode("utf-8", "replace")
    if ended.code in (-signal.SIGXCPU, -signal.SIGKILL):
        return "hang", said[-300:]
    if ended.code < 0:
        return "crash", f"{signal.Signals(-ended.code).name}: {said[-300:]}"
    if "Traceback" in said or _BUG in said or ended.code not in (0, 1, 2):
        return "traceback", said[-600:]
    for name, content in case.files.items():
        if not (folder / name).is_file() or (folder / name).read_bytes() != content:
            return "input changed", name
    if not _is_shown(ended.stdout) or not _is_shown(ended.stderr):
        return "control characters", repr((ended.stdout + ended.stderr)[-300:])
    if ended.code == 2:
        return _refusal(case, said, ended, folder)
    if said.strip() and ended.code == 0:
        return "noise", said[-300:]
    return _success(case, ended, folder)


def _refusal(case: Case, said: str, ended: Ended, folder: Path) -> tuple[str, str]:
    left = {path.name for path in folder.iterdir()} - set(case.files)
    if left:
        return "output left behind", ", ".join(sorted(left))
    lines = said.splitlines()
    heads = [line.partition(": ")[0] for line in lines]
    if heads not in (["error"], ["error", "hint"]) or ended.stdout:
        return "not one clear error", (said + ended.stdout.decode("utf-8", "replace"))[-600:]
    if _OUT_OF_MEMORY in said and _largest(folder / MODEL) < LARGE:
        return "memory", lines[0]
    return REFUSED, plain(lines[0].removeprefix("error: "))


def _largest(path: Path) -> int:
    """Elements of the largest value of a model, by the sizes of its inputs; 0 where it is no model."""
    from onnxprune import OnnxPruneError, load_model
    from onnxprune.model.trace import trace_pair

    try:
        traced = trace_pair(load_model(path)).first
    except OnnxPruneError:
        return 0
    return traced.largest[0] // max(1, traced.freeze.batch)


def _success(case: Case, ended: Ended, folder: Path) -> tuple[str, str]:
    if case.arguments[0] == "inspect":
        return (SHOWN, "") if ended.code == 0 else ("unclear exit code", str(ended.code))
    report = json.loads((folder / REPORT).read_bytes())
    found = report["verification"].get("masked_equivalence", {"checked": False, "reason": "none"})
    if found["checked"] and not found["passed"]:
        return "wrong", found["reason"]
    if any(path.name.endswith(".tmp") for path in folder.iterdir()):
        return "output left behind", "a temporary file"
    if ended.code == 1:
        return (MISSED if found["checked"] else UNVERIFIED), plain(found["reason"])
    if not found["checked"]:
        return UNVERIFIED, plain(found["reason"])
    return (VERIFIED if report["cuts"] else CLEANED), ""


def _is_shown(data: bytes) -> bool:
    """Whether a terminal shows every character: no controls, nothing that turns the writing around."""
    text = data.decode("utf-8", "replace")
    return all(line.isprintable() for line in text.split("\n"))


def plain(message: str) -> str:
    """A message without the names and numbers in it, so that equal ones count together."""
    message = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "'...'", message)
    message = re.sub(r"\[[-\d, ]*\]", "[...]", message)
    message = re.sub(r"-?\d[\d,.]*(?:e[-+]?\d+)?", "N", message)
    return message[:160]


__all__ = ["GOOD", "MODEL", "Ended", "Outcome", "judge", "plain"]
