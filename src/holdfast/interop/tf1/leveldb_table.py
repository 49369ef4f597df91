"""Reads LevelDB's table files: sorted keys with values, in blocks. TensorFlow's checkpoints are such files.

The format is described in https://github.com/google/leveldb/blob/main/doc/table_format.md. A footer gives the place of
the index block, whose values give the places of the data blocks. A key is stored without the prefix that it shares with
the previous key.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from holdfast.errors import MissingLibraryError
from holdfast.interop.tf1.crc32c import crc32c, unmasked
from holdfast.interop.varint import FormatError, read_varint

MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TRAILER = 5  # the kind of compression and the checksum of a block
_MAX_KEY = 4096
_MAX_ALL_KEYS = 2**26  # bytes; keys share prefixes, so a small file could claim many long keys
_SNAPPY_RATIO = 22  # a copy of 64 bytes takes 3


class Table:
    """A table file. Its blocks are read on demand.

    Args:
        path: The file.

    Raises:
        FormatError: It is not a table, or is damaged.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self._size = file.seek(0, os.SEEK_END)
            if self._size < _FOOTER:
                raise FormatError(f"it has {self._size} bytes, fewer than the end of a table")
            file.seek(self._size - _FOOTER)
            footer = memoryview(file.read(_FOOTER))
        if int.from_bytes(footer[-8:], "little") != MAGIC:
            raise FormatError("it does not end like a table")
        handle: list[int] = []
        at = 0
        for _ in range(4):  # offset and size of the unused metaindex block, then of the index block
            number, at = read_varint(footer[:40], at)
            handle.append(number)
        self._ends: list[bytes] = []  # the end of a block: no key in it is larger
        self._handles: list[tuple[int, int]] = []
        past = 0
        for key, value in _entries(self._block(*handle[2:])):
            offset, at = read_varint(value, 0)
            size, at = read_varint(value, at)
            if offset < past or (self._ends and key < self._ends[-1]):
                raise FormatError("its blocks are not in order")
            past = offset + size + _TRAILER
            self._ends.append(key)
            self._handles.append((offset, size))

    def items(self, first: bytes = b"") -> Iterator[tuple[bytes, memoryview]]:
        """Every key from ``first`` on, in order, with its value."""
        before, total = b"", 0
        for handle in self._handles[bisect_left(self._ends, first) :]:
            for key, value in _entries(self._block(*handle)):
                total += len(key)
                if key < before or total > _MAX_ALL_KEYS:
                    raise FormatError("its keys are not in order" if key < before else "its keys are too many")
                before = key
                if key >= first:
                    yield key, value

    def _block(self, offset: int, size: int) -> memoryview:
        if offset + size + _TRAILER > self._size:
            raise FormatError(f"a block ends at byte {offset + size + _TRAILER} and the file at {self._size}")
        with self.path.open("rb") as file:
            file.seek(offset)
            data = memoryview(file.read(size + _TRAILER))
        if len(data) < size + _TRAILER:
            raise FormatError("it became shorter during the reading")
        if crc32c(data[: size + 1]) != unmasked(int.from_bytes(data[size + 1 :], "little")):
            raise FormatError(f"the checksum of the block at byte {offset} is wrong")
        if data[size] == 0:
            return data[:size]
        if data[size] == 1:
            return _decompressed(data[:size])
        raise FormatError(f"a block has the unknown compression {data[size]}")


def _entries(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    if len(block) < 4:
        raise FormatError("a block is too short")
    restarts = int.from_bytes(block[-4:], "little")  # places to begin a search; unused here
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise FormatError("a block is shorter than the list at its end")
    block, at, key = block[:end], 0, b""
    while at < end:
        shared, at = read_varint(block, at)
        suffix, at = read_varint(block, at)
        size, at = read_varint(block, at)
        if shared > len(key) or suffix + size > end - at or shared + suffix > _MAX_KEY:
            raise FormatError("an entry is longer than its block, or its key is too long")
        key = key[:shared] + bytes(block[at : at + suffix])
        yield key, block[at + suffix : at + suffix + size]
        at += suffix + size


def _decompressed(data: memoryview) -> memoryview:
    claimed, _ = read_varint(data, 0)
    if claimed > _SNAPPY_RATIO * len(data):
        raise FormatError(f"a compressed block of {len(data)} bytes claims to hold {claimed}")
    try:
        import cramjam
    except ImportError as error:
        raise MissingLibraryError(
            "A checkpoint with compressed blocks needs the library cramjam, which is not installed: "
            "pip install 'holdfast[tf1]'."
        ) from error
    try:
        return memoryview(bytes(cramjam.snappy.decompress_raw(bytes(data))))
    except cramjam.DecompressionError as error:
        raise FormatError("a block cannot be decompressed") from error
