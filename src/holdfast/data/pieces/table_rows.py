"""The rows of a table of any size: Parquet, JSON lines, and CSV or TSV by ``delimited_rows``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from holdfast.data.pieces.text_lines import line_lists
from holdfast.data.readers import table
from holdfast.data.readers.table import Table
from holdfast.data.readers.table_bounds import check_parquet
from holdfast.data.settings import TableSettings
from holdfast.errors import DataError

Rows = Callable[[int, int], Table]
"""Takes the first row of some that were taken from a file and the one after the last; returns them as a table."""


class TableRows(Protocol):
    """The rows of a table."""

    path: Path

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns."""

    def __len__(self) -> int:
        """The number of rows."""

    def runs(self, begin: int, end: int, size: int) -> Iterator[tuple[int, Rows]]:
        """The rows from ``begin`` to before ``end``, in order.

        Args:
            begin: The first row.
            end: The row after the last one.
            size: The largest number of rows at once.

        Returns:
            For some rows at a time their number, and what makes a table of them, or of some of them.

        Raises:
            DataError: The file cannot be read.
        """


class ParquetRows:
    """The rows of a Parquet file; a run reads only its part of the file.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read.
        MissingLibraryError: polars is not installed.
    """

    def __init__(self, path: Path) -> None:
        table.check_library(path)
        import polars

        self.path = path
        with table.readable_parquet(path):
            self._scan = polars.scan_parquet(path, glob=False)
            self._count = int(self._scan.select(polars.len()).collect().item())
            self.columns = self._scan.collect_schema().names()
            check_parquet(path, self._count, len(self.columns), path.stat().st_size)
            self._index = table.parquet_index(path, self.columns)

    def __len__(self) -> int:
        """The number of rows."""
        return self._count

    def runs(self, begin: int, end: int, size: int) -> Iterator[tuple[int, Rows]]:
        """As :meth:`TableRows.runs`."""
        for start in range(begin, end, size):
            whole = self.table(start, min(start + size, end))
            yield whole.frame.height, whole.rows

    def table(self, begin: int, end: int) -> Table:
        """The rows from ``begin`` to before ``end``.

        Raises:
            DataError: The file cannot be read.
        """
        with table.readable_parquet(self.path):
            frame = table.offsets_as_text(self._scan.slice(begin, end - begin).collect())
        if frame.height != end - begin:
            raise DataError(f"{self.path} changed while it was read. Start again.")
        return Table(self.path, frame, self._index, first=begin)


class JsonRows:
    """The rows of a file of JSON lines; a key that a line does not have is missing there.

    Args:
        path: The file.
        settings: ``encoding`` is used.

    Raises:
        DataError: The file cannot be read.
        MissingLibraryError: polars is not installed.
    """

    def __init__(self, path: Path, settings: TableSettings) -> None:
        table.check_library(path)
        self.path, self._encoding = path, settings.encoding

    @cached_property
    def columns(self) -> Sequence[str]:
        """The keys of the first rows."""
        for _, rows in self.runs(0, 1000, 1000):
            return rows(0, 1000).columns
        raise DataError(f"{self.path} is empty; expected one JSON object per line.")

    @cached_property
    def _count(self) -> int:
        lists = line_lists(self.path, self._encoding)
        return sum(1 for lines in lists for line in lines if line.strip())

    def __len__(self) -> int:
        """The number of rows."""
        return self._count

    def runs(self, begin: int, end: int, size: int) -> Iterator[tuple[int, Rows]]:
        """As :meth:`TableRows.runs`."""
        for first, lines, numbers in _taken(self._rows(), begin, end, size):
            yield len(lines), self._table(first, lines, numbers)

    def _rows(self) -> Iterator[tuple[int, str]]:
        number = 0
        for lines in line_lists(self.path, self._encoding):
            for number, line in enumerate(lines, number + 1):  # noqa: B020  (continues the count)
                if line.strip():
                    yield number, line

    def _table(self, first: int, lines: list[str], numbers: list[int]) -> Rows:
        def rows(begin: int, end: int) -> Table:
            return table.json_table(self.path, "\n".join(lines[begin:end]), numbers[begin:end], first + begin)

        return rows


def _taken(
    rows: Iterator[tuple[int, str]], begin: int, end: int, size: int
) -> Iterator[tuple[int, list[str], list[int]]]:
    """Some rows in lists: the number of the first one, and the text and line of each."""
    lines: list[str] = []
    numbers: list[int] = []
    first = begin
    for place, (number, line) in enumerate(rows):
        if place < begin:
            continue
        if place >= end:
            break
        lines.append(line)
        numbers.append(number)
        if len(lines) == size:
            yield first, lines, numbers
            first, lines, numbers = first + len(lines), [], []
    if lines:
        yield first, lines, numbers
