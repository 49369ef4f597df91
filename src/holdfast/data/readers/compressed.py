"""Files that may be gzipped: opened by content, with one error for a damaged one."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from holdfast.errors import DataError, MissingDataError

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


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file in UTF-8, plain or gzipped: each with its number, from 1, and without its line break.

    Raises:
        MissingDataError: The file is not there.
        DataError: It cannot be read, or a line is not UTF-8.
    """
    if not path.exists():
        raise MissingDataError(f"There is no file {path}. Check the path; it was taken from {Path.cwd()}.")
    with opened(path) as file:
        for number, raw in enumerate(file, start=1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}, line {number}, is not UTF-8 text ({error.reason}). Save the file in UTF-8."
                ) from error
            yield number, text.rstrip("\r\n")


def most_bytes(path: Path) -> int:
    """An upper bound on the number of uncompressed bytes that the file can hold."""
    size = path.stat().st_size
    return size * MOST_DEFLATE if is_gzipped(path) else size
