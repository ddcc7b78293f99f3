"""Samples and their preprocessing out of files that lie: sizes that are not there, bombs, endless numbers."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from takers import image_taker, taker

from onnxprune.calibration import open_samples
from onnxprune.calibration.npy import ALWAYS
from onnxprune.calibration.preprocess import parse_preprocess
from onnxprune.errors import InputError, UsageError

FLAT = taker(("image", 1, ["n", 4]))


def npy(
    shape: str, *, order: bool = False, dtype: str = "<f4", values: bytes = bytes(64), pad: int = 64
) -> bytes:
    """A ``.npy`` file with whatever header."""
    header = f"{{'descr': {dtype!r}, 'fortran_order': {order}, 'shape': {shape}, }}".ljust(pad - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values


def npz(path: Path, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x.npy", content)
    return path


HEADERS = {
    "rows": npy("(1000000000000, 4)"),
    "columns": npy("(4, 1000000000000)"),
    "more than 64 bits": npy("(1 << 70, 4)".replace("1 << 70", str(1 << 70))),
    "negative": npy("(-4, -4)"),
    "by column": npy("(4, 1000000000000)", order=True),
    "endless header": npy("(4,)", pad=60_000),
    "no header": b"\x93NUMPY\x01\x00\xff\xff{",
    "code": npy("__import__('os').system('true')"),
    "nested": npy("(" * 9000 + ")" * 9000, pad=20_000),
    "objects": npy("(4, 4)", dtype="|O"),
    "fields": npy("(4, 4)", dtype="[('a', '<f4')]"),
}


@pytest.mark.filterwarnings("ignore:s_push:Warning")
@pytest.mark.parametrize("form", ["stored", "compressed", "alone"])
@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_lie(tmp_path: Path, name: str, form: str) -> None:
    path = tmp_path / ("a.npy" if form == "alone" else "a.npz")
    if form == "alone":
        path.write_bytes(HEADERS[name])
    else:
        npz(path, HEADERS[name], zipfile.ZIP_STORED if form == "stored" else zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError) as caught:
        open_samples(str(path), FLAT)
    assert path.name in caught.value.message


def test_an_archive_that_unpacks_to_far_more(tmp_path: Path) -> None:
    made = zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with made as archive, archive.open("x.npy", "w") as file:
        file.write(npy(f"({ALWAYS >> 4}, 4)", values=b""))
        for _ in range(ALWAYS >> 24):
            file.write(bytes(1 << 24))
    with pytest.raises(InputError, match="which no samples do"):
        open_samples(str(tmp_path / "a.npz"), FLAT)


def png(width: int, height: int) -> bytes:
    """A picture of so many black points, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packed = zlib.compress(bytes(1000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def gif() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(file, "gif")
    return file.getvalue()


PICTURES = {
    "a bomb": lambda: png(60_000, 60_000),
    "a smaller bomb": lambda: png(10_000, 10_000),
    "no points": lambda: png(0, 0),
    "cut off": lambda: cut(png(8, 8)),
    "of another kind": lambda: cut(gif()),
    "a link": lambda: b"BM" + b"\xff" * 60,
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_that_are_refused(tmp_path: Path, name: str) -> None:
    pytest.importorskip("PIL")
    (tmp_path / "a.png").write_bytes(PICTURES[name]())
    with pytest.raises(InputError, match=r"a\.png' cannot be read"):
        open_samples(tmp_path, image_taker("n", 3, 8, 8))


STEPS = [
    "scale=1e999999999",
    "scale=1/1e-999999999",
    "mean=1E+1000000",
    f"scale={'9' * 5000}",
    f"resize={'9' * 5000}",
    "resize=1000000x1000000",
    "crop=999999",
    "pad=9999999",
    "scale=1/0",
    "std=nan",
    "x\x1b[2Jy=1",
    "scale=\x1b[2J",
]


@pytest.mark.parametrize("text", STEPS)
def test_steps_without_end(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_preprocess(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [
        "scale = 1e999999999999999",
        "a = " + "[" * 50_000,
        "scale = 0x" + "f" * 6000,
        'scale = "1e99999"',
        "mean = [inf]",
    ],
)
def test_files_of_steps_without_end(tmp_path: Path, content: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        parse_preprocess(path)
    assert len(caught.value.message) < 1000
