"""Fields of protocol buffers and their variable-length numbers, without the schema.

The format is that of https://protobuf.dev/programming-guides/encoding. Everything here raises :class:`FormatError` for
bytes that are not of it, and takes no more memory than they do.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


class FormatError(ValueError):
    """Bytes are not of their format; the text says where, for a message that names the file."""


Field = int | memoryview


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """An unsigned number of 64 bits, seven a byte, and where the next byte stands."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise FormatError("a number does not end")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value & (1 << 64) - 1, at


def signed(value: int) -> int:
    """A 64-bit number as two's complement."""
    return value - (1 << 64) if value >= 1 << 63 else value


def fields(message: memoryview) -> Iterator[tuple[int, Field]]:
    """The number and value of each field: a number for the wire type varint, the bytes for every other."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = varint(message, at)
            yield number, value
            continue
        if kind == 2:
            size, at = varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise FormatError(f"a field has the wire type {kind}")
        if size > len(message) - at:
            raise FormatError("a field is longer than what holds it")
        yield number, message[at : at + size]
        at += size


def number(value: Field) -> int:
    """A field that must be a varint."""
    if not isinstance(value, int):
        raise FormatError("a field that should be a number is bytes")
    return value


def content(value: Field) -> memoryview:
    """A field that must be bytes."""
    if isinstance(value, int):
        raise FormatError("a field that should be bytes is a number")
    return value


def text(value: Field) -> str:
    """A field that must be UTF-8."""
    try:
        return bytes(content(value)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("a name is not UTF-8") from error


def varints(packed: Field) -> NDArray[np.uint64]:
    """The numbers of a repeated field, packed or one by one."""
    if isinstance(packed, int):
        return np.array([packed], np.uint64)
    found = [np.zeros(0, np.uint64)]
    for chunk in _chunks(np.frombuffer(packed, np.uint8)):
        starts = np.flatnonzero(np.concatenate([[True], chunk[:-1] < 128]))
        place = np.arange(len(chunk)) - np.repeat(starts, np.diff(starts, append=len(chunk)))
        if place.max() > 9:
            raise FormatError("a number does not end")
        found.append(np.add.reduceat((chunk & 127).astype(np.uint64) << (7 * place).astype(np.uint64), starts))
    return np.concatenate(found)


def _chunks(data: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Pieces of about a million bytes, each with whole numbers, so that little memory is taken beside the result."""
    at = 0
    while at < len(data):
        end = min(at + 2**20, len(data))
        whole = np.flatnonzero(data[at:end] < 128)
        if not len(whole):
            raise FormatError("a number does not end")
        if end == len(data) and whole[-1] != end - at - 1:
            raise FormatError("a number does not end")
        end = at + int(whole[-1]) + 1
        yield data[at:end]
        at = end
