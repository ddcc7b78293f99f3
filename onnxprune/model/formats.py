"""What a file is that turned out not to be an ONNX model."""

from __future__ import annotations

_CONVERT = "Convert it to ONNX first."
_FORMATS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"version https://git-lfs", "a Git LFS pointer", "Fetch the file itself with 'git lfs pull'."),
    (0, b"\x89HDF", "a Keras HDF5 file", _CONVERT),
    (0, b"PK\x03\x04", "a zip archive, as Keras and PyTorch write them", _CONVERT),
    (0, b"\x80\x02", "a pickled PyTorch file", _CONVERT),
    (4, b"TFL3", "a TensorFlow Lite model", _CONVERT),
    (4, b"ORTM", "a model in ORT format", "Give the .onnx file that it was made from."),
    (0, b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (0, b"<", "HTML or XML text", "Download the model itself, not the page about it."),
    (0, b"{", "JSON text", _CONVERT),
)
_UNKNOWN = "It is cut short, damaged, or of another format; export or download it again."


def guess(data: bytes) -> tuple[str, str]:
    """What bytes that are no ONNX model look like (empty if unknown), and what to do about it."""
    for offset, magic, name, hint in _FORMATS:
        if data[offset : offset + len(magic)] == magic:
            return name, hint
    return "", _UNKNOWN
