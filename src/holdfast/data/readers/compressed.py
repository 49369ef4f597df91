"""Files that may be gzipped: opened by content, with one error for a damaged one."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from holdfast.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
MOST_DEFLATE = 1032
"""Deflate cannot shrink data by more than this factor."""


def is_gzipped(path: Path) -> bool:
    """Whether the file starts as a gzip file does, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a plain or gzipped file for reading its (uncompressed) bytes.

    Raises:
        DataError: While reading: the gzip stream is cut short or damaged, or the file cannot be read.
    """
    try:
        if is_gzipped(path):
            with gzip.open(path, "rb") as file:
                yield cast(BinaryIO, file)
        else:
            with path.open("rb") as plain:
                yield plain
    except EOFError as error:
        raise DataError(f"{path} is cut short: its gzip stream has no end. Copy or download it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}). Copy or download it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}).") from error


def most_bytes(path: Path) -> int:
    """An upper bound on the number of uncompressed bytes that the file can hold."""
    size = path.stat().st_size
    return size * MOST_DEFLATE if is_gzipped(path) else size
