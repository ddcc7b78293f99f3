"""Sessions of ONNX Runtime as a deployment would open them: all optimisations, a stated number of threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from onnxprune.errors import UsageError
from onnxprune.execution.execution import LOG_NOTHING, Refusal, first_line
from onnxprune.model.constants import Array

CPU = "cpu"
_SUFFIX = "ExecutionProvider"


class Session:
    """A model ready to run.

    Args:
        model: path of a file, or the bytes of one.
        threads: of ONNX Runtime within an operator.
        provider: full name of the execution provider; the processor takes what that does not know.
        profile: prefix of the path that the profile is written to, None for no profile.

    Raises:
        Refusal: ONNX Runtime does not load it.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        threads: int = 1,
        provider: str = f"CPU{_SUFFIX}",
        profile: Path | None = None,
    ) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = LOG_NOTHING
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        if profile is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile)
        source = model if isinstance(model, bytes) else str(model)
        providers = list(dict.fromkeys((provider, f"CPU{_SUFFIX}")))
        try:
            self._session = ort.InferenceSession(source, options, providers=providers)
        except Exception as exc:  # its exception types are not public
            raise Refusal(first_line(exc)) from exc

    def run(self, feed: Mapping[str, Array]) -> Sequence[Any]:
        """All outputs for one feed, input name -> array.

        Raises:
            Refusal: it does not run on this feed.
        """
        try:
            return self._session.run(None, feed)  # type: ignore[no-any-return]
        except Exception as exc:  # its exception types are not public
            raise Refusal(first_line(exc)) from exc

    def end_profile(self) -> Path:
        """Stop recording; returns the file, which is the caller's to remove."""
        return Path(self._session.end_profiling())


def find_provider(name: str) -> str:
    """The full name of an execution provider that is installed.

    Args:
        name: ``cpu``, ``cuda``, ``openvino``, ..., or the full name; letter case does not matter.

    Raises:
        UsageError: it is not installed.
    """
    installed: list[str] = ort.get_available_providers()
    by_name = {full.removesuffix(_SUFFIX).lower(): full for full in installed}
    wanted = name.strip().lower().removesuffix(_SUFFIX.lower())
    if wanted not in by_name:
        raise UsageError(
            f"ONNX Runtime here has no execution provider {name!r}.",
            hint=f"Installed: {', '.join(by_name)}. Others come with packages such as onnxruntime-gpu or "
            "onnxruntime-openvino.",
        )
    return by_name[wanted]
