"""Limits for the size of a table, checked before polars reads it, as polars makes a cell for each column and row.

Rows of a CSV file may be shorter than its header, and lines of JSON may lack keys that others have. A few hundred
kilobytes of such rows would become gigabytes of empty cells. Parquet files say how many rows they have.
"""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.errors import DataError

MOST_COLUMNS = 100_000
MOST_CELLS, MOST_CELLS_PER_BYTE = 2**23, 4
"""A table of B bytes of text may have MOST_CELLS + MOST_CELLS_PER_BYTE * B cells, including empty ones."""
MOST_PARQUET_CELLS_PER_BYTE = 25
"""The same for a Parquet file: 200 bytes of numbers per byte."""
MOST_DEPTH = 16
"""Nesting of objects and lists in a line of JSON; polars takes minutes with a few hundred levels."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_KEY = re.compile(rb'("(?:[^"\\]|\\.)*")\s*(:)?')


def check_separated(path: Path, rows: int, columns: int, size: int) -> None:
    """Checks a CSV or TSV file of ``size`` characters.

    Raises:
        DataError: It has too many columns, or too many cells for its size.
    """
    _check(path, columns, rows, MOST_CELLS + MOST_CELLS_PER_BYTE * size)


def check_json_lines(path: Path, content: bytes) -> None:
    """Checks the text of a file with an object of JSON in each line.

    Raises:
        DataError: It has too many keys, too many cells for its size, or too deep nesting.
    """
    keys: set[bytes] = set()
    before: list[bytes] = []
    lines = content.split(b"\n")
    for number, line in enumerate(lines, 1):
        if line.count(b"{") + line.count(b"[") > MOST_DEPTH and _depth(line) > MOST_DEPTH:
            raise DataError(
                f"{path}, line {number}, is nested more than {MOST_DEPTH} deep; expected one object per line."
            )
        if line.count(b'":') != len(before) or not all(key in line for key in before):
            before = [key + b":" for key, colon in _KEY.findall(line) if colon]
            keys.update(before)
    _check(path, len(keys), len(lines), MOST_CELLS + MOST_CELLS_PER_BYTE * len(content))


def check_parquet(path: Path, rows: int, columns: int, size: int) -> None:
    """Checks the footer of a Parquet file of ``size`` bytes.

    Raises:
        DataError: It claims too many columns, or too many cells for its size.
    """
    _check(path, columns, rows, MOST_CELLS + MOST_PARQUET_CELLS_PER_BYTE * size)


def _check(path: Path, columns: int, rows: int, most: int) -> None:
    if columns > MOST_COLUMNS:
        raise DataError(f"{path} has {columns:,} columns; expected at most {MOST_COLUMNS:,}. Is it a table?")
    if rows * columns > most:
        raise DataError(
            f"{path} has {rows:,} rows and {columns:,} columns, with nearly all cells empty or equal; expected "
            f"at most {most:,} cells in a file of its size. It is damaged, or most columns can be left out."
        )


def _depth(line: bytes) -> int:
    deepest = depth = 0
    for byte in _STRING.sub(b"", line):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest
