"""Files that may be gzipped: recognised by their content, with one error for a damaged file."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from holdfast.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
_BLOCK = 2**18
MOST_DEFLATE = 1032
"""Deflate cannot shrink data by more than this factor."""
MOST_RATIO = 200
"""A large file may unpack to this multiple of its packed size; real text and numbers stay far below."""
LARGE_TEXT, LARGE_ARRAY = 2**20, 64 * 2**20
"""Unpacked sizes above which this applies. Lines become much larger objects; sorted labels shrink a thousandfold."""


def is_gzipped(path: Path) -> bool:
    """Whether the content starts as a gzip file; the name does not count."""
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Opens a plain or gzipped file to read its uncompressed bytes.

    Raises:
        DataError: While reading: the gzip stream is cut short, damaged or unpacks to far too much, or the file cannot
            be read.
    """
    try:
        if is_gzipped(path):
            with path.open("rb") as packed, gzip.open(packed, "rb") as file:
                yield cast(BinaryIO, io.BufferedReader(_Unpacked(path, packed, cast(BinaryIO, file)), _BLOCK))
        else:
            with path.open("rb") as plain:
                yield plain
    except EOFError as error:
        raise DataError(f"{path} is cut short: its gzip stream has no end. Copy or download it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}). Copy or download it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}).") from error


class _Unpacked(io.RawIOBase):
    """The content of a gzip stream; an error if it is more than the packed bytes can reasonably hold."""

    def __init__(self, path: Path, packed: BinaryIO, file: BinaryIO) -> None:
        self._path, self._packed, self._file, self._count = path, packed, file, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._count += len(data)
        check_ratio(str(self._path), self._packed.tell(), self._count)
        return len(data)

    def readall(self) -> bytes:
        content = bytearray()
        while block := self.read(_BLOCK):
            content += block
        return bytes(content)


def check_ratio(name: str, packed: int, unpacked: int, large: int = LARGE_TEXT) -> None:
    """Refuses data that unpack to far more than real data do.

    Args:
        name: The file, for the message.
        packed: The number of packed bytes.
        unpacked: The number of bytes that they unpack to, or claim to.
        large: The number of unpacked bytes up to which any ratio is accepted.

    Raises:
        DataError: There are more than ``large`` unpacked bytes and more than ``MOST_RATIO`` times the packed ones.
    """
    if unpacked > max(large, MOST_RATIO * packed):
        raise DataError(
            f"{name} unpacks to {unpacked:,} bytes or more from {packed:,}; expected at most {MOST_RATIO} times as "
            "many, as real data hardly ever shrink so far. If they do, unpack the file first."
        )


def most_bytes(path: Path) -> int:
    """An upper bound on the number of uncompressed bytes that the file can hold."""
    size = path.stat().st_size
    return size * MOST_DEFLATE if is_gzipped(path) else size
