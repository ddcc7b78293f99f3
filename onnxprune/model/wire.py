"""Reading and rewriting serialized protobuf messages without parsing their bulk.

A weight file is a small graph with large byte strings in it. Cutting the strings out before the graph
is parsed, and putting them back when it is written, keeps every weight in memory once at most.
Encoding: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

Piece = bytes | memoryview
Rewriter = Callable[[memoryview], "list[Piece] | None"]
"""Turns the payload of a field into its new payload; None keeps the field as it is."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_FIXED_SIZE = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10


class WireError(ValueError):
    """The bytes are not a serialized message, or end too early."""


class Field(NamedTuple):
    """One field of a message: its number, wire type, and where it lies in the buffer."""

    number: int
    kind: int
    start: int  # of the tag
    payload: int  # of the value; after the length of a length-delimited field
    end: int


def read_varint(buffer: memoryview, at: int) -> tuple[int, int]:
    """The unsigned number at a position and the position after it.

    Raises:
        WireError: where the buffer ends first or the number has more than ten bytes.
    """
    value = 0
    for shift in range(0, 7 * _LONGEST_VARINT, 7):
        if at >= len(buffer):
            raise WireError("ends in the middle of a number")
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise WireError("holds a number of more than ten bytes")


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message in the order in which they are stored.

    Raises:
        WireError: where the bytes cannot be a message.
    """
    at, size = 0, len(message)
    while at < size:
        start = at
        tag, at = read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        payload = at
        if kind == LENGTH:
            length, payload = read_varint(message, at)
            at = payload + length
        elif kind == VARINT:
            _, at = read_varint(message, at)
        elif kind in _FIXED_SIZE:
            at += _FIXED_SIZE[kind]
        else:
            raise WireError(f"holds a field of the unknown wire type {kind}")
        if number == 0:
            raise WireError("holds a field without a number")
        if at > size:
            raise WireError(f"ends {at - size:,} bytes too early")
        yield Field(number, kind, start, payload, at)


def varint(value: int) -> bytes:
    """An unsigned number as protobuf stores it."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def length_of(pieces: list[Piece]) -> int:
    """Bytes in all pieces together."""
    return sum(map(len, pieces))


def wrapped(number: int, pieces: list[Piece]) -> list[Piece]:
    """A length-delimited field with the given payload."""
    return [varint(number << 3 | LENGTH) + varint(length_of(pieces)), *pieces]


def rewritten(message: memoryview, rewriters: Mapping[int, Rewriter]) -> list[Piece]:
    """A message in which the rewriters replaced the payloads of the fields of their number.

    Args:
        message: the serialized message; the result refers to it instead of copying.
        rewriters: by field number; they see length-delimited fields only, in stored order.

    Raises:
        WireError: where the bytes cannot be a message.
    """
    pieces: list[Piece] = []
    kept_from = 0
    for field in fields(message):
        rewriter = rewriters.get(field.number) if field.kind == LENGTH else None
        replaced = rewriter(message[field.payload : field.end]) if rewriter else None
        if replaced is None:
            continue
        pieces.append(message[kept_from : field.start])
        pieces.extend(wrapped(field.number, replaced))
        kept_from = field.end
    pieces.append(message[kept_from:])
    return pieces
