"""Fields of protocol buffers, without the schema.

The format is described at https://protobuf.dev/programming-guides/encoding. Everything here raises
:class:`~holdfast.interop.varint.FormatError` for bytes that do not follow it, and takes no more memory than they do.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from holdfast.interop.varint import FormatError, read_packed, read_varint

Field = int | memoryview


def fields(message: memoryview) -> Iterator[tuple[int, Field]]:
    """The number and value of each field: a number for the wire type varint, the bytes for every other."""
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = read_varint(message, at)
            yield number, value
            continue
        if kind == 2:
            size, at = read_varint(message, at)
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
    return np.array([packed], np.uint64) if isinstance(packed, int) else read_packed(packed)
