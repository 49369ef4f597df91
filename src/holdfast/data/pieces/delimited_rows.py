"""The rows of a CSV or TSV file of any size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from holdfast.data.pieces.table_rows import Rows
from holdfast.data.pieces.text_lines import line_lists, line_pieces
from holdfast.data.readers import delimited, table
from holdfast.data.readers.table import Table
from holdfast.data.readers.table_bounds import check_separated
from holdfast.data.settings import TableSettings

_HEAD = 1000
"""Lines from which the layout is detected."""
_LONGEST_ROW = 2**24
"""Characters of a row with line breaks; a quote that opens a longer one is never closed."""
_MARKS = re.compile(r'(?m)(?:^|\t)"'), re.compile(r'(?m)"(?:$|\t)')


class DelimitedRows:
    """The rows of a table as text, with the rules of :func:`holdfast.data.readers.delimited.parse`.

    The separator is detected in the first rows, and whether quotes enclose values in the whole file.

    Args:
        path: The file, plain or gzipped.
        settings: ``separator``, ``comment`` and ``encoding`` are used.
        texts: Whether the values are texts: then a line that starts like a comment is a row.

    Raises:
        MissingLibraryError: polars is not installed.
    """

    def __init__(self, path: Path, settings: TableSettings, *, texts: bool = False) -> None:
        table.check_library(path)
        self.path, self._settings, self._comments = path, settings, not texts

    @cached_property
    def _layout(self) -> tuple[delimited.Layout, int]:
        """The layout, and the number of lines above the first row of values."""
        head: list[str] = []
        for lines in line_lists(self.path, self._settings.encoding):
            head += lines
            if len(head) >= _HEAD:
                break
        rows = delimited.rows_of(head, self._settings.comment, quoted=self._quoted, everywhere=self._comments)
        layout, above = delimited.layout_of(self.path, rows, self._settings)
        below = rows.numbers[above:]
        return layout, (below[0] - 1 if below else len(head))

    @cached_property
    def _quoted(self) -> bool:
        """Whether quotes enclose values; reads the whole file, as one may be in its last line."""
        by_tabs: bool | None = None
        opened = closed = 0
        for lines in line_lists(self.path, self._settings.encoding):
            if by_tabs is None:
                by_tabs = "\t" in lines[0]
            text = "\n".join(lines)
            if '"' not in text:
                continue
            if not by_tabs and delimited.quotes_enclose(f"\n{text}"):
                return True
            opened, closed = (n + len(mark.findall(text)) for n, mark in zip((opened, closed), _MARKS, strict=True))
        return bool(by_tabs) and 0 < opened == closed

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns."""
        return list(self._layout[0].names)

    @cached_property
    def _count(self) -> int:
        return sum(len(rows.rows) for rows, _ in self._blocks())

    def __len__(self) -> int:
        """The number of rows."""
        return self._count

    def runs(self, begin: int, end: int, size: int) -> Iterator[tuple[int, Rows]]:
        """As :meth:`holdfast.data.pieces.table_rows.TableRows.runs`."""
        passed = 0
        for block, _ in self._blocks():
            count = len(block.rows)
            for start in range(max(begin - passed, 0), min(end - passed, count), size):
                stop = min(start + size, end - passed, count)
                yield stop - start, self._table(passed + start, block.rows[start:stop], block.numbers[start:stop])
            passed += count
            if passed >= end:
                return

    @property
    def empty(self) -> Table:
        """The table without its rows."""
        return self._table(0, [], [])(0, 0)

    def blocks(self, first: int) -> Iterator[tuple[Table, int]]:
        """The rows from one on, in the blocks of the file; each with the bytes of the file up to its end.

        Raises:
            DataError: The file cannot be read.
        """
        passed = 0
        for block, size in self._blocks():
            count, skipped = len(block.rows), max(first - passed, 0)
            if skipped < count:
                yield self._table(passed, block.rows, block.numbers)(skipped, count), size
            passed += count

    def _blocks(self) -> Iterator[tuple[delimited.Rows, int]]:
        """The rows below the names, in blocks, and the bytes so far; a row with line breaks is never divided."""
        layout, above = self._layout
        number, rest = 1, list[str]()
        count = 0
        for lines, _, size, _ in line_pieces(self.path, self._settings.encoding):
            if number + len(lines) <= above:
                number += len(lines)
                continue
            if number <= above:
                lines, number = lines[above + 1 - number :], above + 1
            rest += lines
            rows = self._rows(rest, number)
            if rows.open:
                if sum(map(len, rest[rows.open - number :])) > _LONGEST_ROW:
                    delimited.check_closed(self.path, rows)
                complete = rows.open - number
                rows = self._rows(rest[:complete], number)
                number, rest = number + complete, rest[complete:]
            else:
                number, rest = number + len(rest), []
            if rows.rows:
                count += len(rows.rows)
                check_separated(self.path, count, len(layout.names), size)
                delimited.check_comments(self.path, rows, layout, self._settings.comment)
                yield rows, size
        delimited.check_closed(self.path, self._rows(rest, number))

    def _rows(self, lines: Sequence[str], first: int) -> delimited.Rows:
        return delimited.rows_of(
            lines,
            self._settings.comment,
            quoted=self._quoted,
            everywhere=self._comments,
            first=first,
            names_known=True,
        )

    def _table(self, first: int, rows: Sequence[str], numbers: Sequence[int]) -> Rows:
        layout, _ = self._layout

        def part(begin: int, end: int) -> Table:
            chosen, lines = rows[begin:end], numbers[begin:end]
            frame = layout.frame(self.path, chosen, lines)
            index = table.index_columns(frame.columns)
            return Table(self.path, frame, index, lines, layout.separator, first + begin)

        return part
