"""Variable-length integers of protocol buffers and LevelDB: seven bits per byte, the lowest bits first.

The format is described at https://protobuf.dev/programming-guides/encoding. A number has at most 10 bytes; bits above
the 64th are dropped. Reading takes no more memory than the bytes do.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_MAX_BITS = 70


class FormatError(ValueError):
    """The bytes do not follow their format; the text says where, for a message that names the file."""


def read_varint(data: memoryview | mmap.mmap, at: int, end: int | None = None) -> tuple[int, int]:
    """Reads the unsigned 64-bit number at a position, from data that end at ``end``, None for the end of ``data``.

    Returns:
        The number, and the position after it.

    Raises:
        FormatError: The data end before the number does, or the number is longer than 10 bytes.
    """
    end = len(data) if end is None else end
    if at < end and (byte := data[at]) < 128:  # most numbers have one byte
        return byte, at + 1
    value = shift = 0
    while at < end and shift < _MAX_BITS:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value & _MASK, at
    raise FormatError("a number does not end")


def read_packed(data: memoryview) -> NDArray[np.uint64]:
    """Reads the numbers that fill the data.

    Raises:
        FormatError: The last number does not end, or a number is longer than 10 bytes.
    """
    parts = [np.zeros(0, np.uint64)]
    for chunk in _chunks(np.frombuffer(data, np.uint8)):
        starts = np.flatnonzero(np.concatenate([[True], chunk[:-1] < 128]))
        place = np.arange(len(chunk)) - np.repeat(starts, np.diff(starts, append=len(chunk)))
        if 7 * place.max() >= _MAX_BITS:
            raise FormatError("a number does not end")
        parts.append(np.add.reduceat((chunk & 127).astype(np.uint64) << (7 * place).astype(np.uint64), starts))
    return np.concatenate(parts)


def _chunks(data: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Cuts the data into pieces of about a million bytes, each with whole numbers, to need little memory at a time."""
    at = 0
    while at < len(data):
        end = min(at + 2**20, len(data))
        last_bytes = np.flatnonzero(data[at:end] < 128)
        if not len(last_bytes) or (end == len(data) and last_bytes[-1] != end - at - 1):
            raise FormatError("a number does not end")
        end = at + int(last_bytes[-1]) + 1
        yield data[at:end]
        at = end


def signed(value: int) -> int:
    """An unsigned 64-bit number, read as two's complement."""
    return value - (1 << 64) if value >= 1 << 63 else value
