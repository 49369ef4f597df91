"""Tables in pieces: a row is an example, or the rows of an id are one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.data.pieces.delimited_rows import DelimitedRows
from holdfast.data.pieces.piece import Piece
from holdfast.data.pieces.table_rows import JsonRows, ParquetRows, TableRows
from holdfast.data.readers import values as cells
from holdfast.data.readers.table import BINARY, JSON, Table
from holdfast.data.settings import TableSettings
from holdfast.errors import DataError

if TYPE_CHECKING:
    import polars

Settings = TypeVar("Settings", bound=TableSettings)
Read = Callable[[Table], Any]
"""Makes examples without targets from a table."""
AT_ONCE, _CELLS = 2**14, 2**22
"""Rows of a piece, and cells; there are fewer rows where a table has very many columns."""


def table_rows(path: Path, settings: TableSettings, *, texts: bool = False) -> TableRows:
    """The rows of a table, by the ending of its name.

    Args:
        path: Parquet, JSON lines, or CSV or TSV, plain or gzipped.
        settings: How it is read.
        texts: Whether the values are texts.

    Raises:
        DataError: The file cannot be read.
        MissingLibraryError: polars is not installed.
    """
    endings = {suffix.lower() for suffix in path.suffixes[-2:]}
    if path.suffix.lower() in BINARY:
        return ParquetRows(path)
    return JsonRows(path, settings) if endings & set(JSON) else DelimitedRows(path, settings, texts=texts)


class TableSource:
    """A table in which each row is an example.

    Args:
        rows: Its rows.
        read: Makes the examples.
    """

    carried: Sequence[str] = ()

    def __init__(self, rows: TableRows, read: Read) -> None:
        self._rows, self._read = rows, read

    @property
    def name(self) -> str:
        """The path."""
        return str(self._rows.path)

    @property
    def columns(self) -> Sequence[str]:
        """As :attr:`Source.columns`."""
        return self._rows.columns

    @property
    def at_once(self) -> int:
        """As :attr:`Source.at_once`."""
        return min(AT_ONCE, _CELLS // max(1, len(self.columns)))

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._rows)

    def pieces(self, begin: int, end: int) -> Iterator[Piece]:
        """As :meth:`Source.pieces`."""
        start = begin
        for count, rows in self._rows.runs(begin, end, self.at_once):
            table = lru_cache(maxsize=1)(rows)
            names = partial(_name, self.name, start)
            yield Piece(reader(table, self._read), _keeper(table), names, 0, count)
            start += count


def settled(rows: TableRows, settings: Settings, other: Sequence[str] = ()) -> Settings:
    """The settings with the decimal sign that the first rows show; the same for every part of the file.

    Args:
        rows: The rows of the table.
        settings: How it is read.
        other: Columns that do not count, as they do not hold inputs.

    Raises:
        DataError: The table cannot be read, or the sign is doubtful.
    """
    import polars

    if settings.decimal or isinstance(rows, ParquetRows | JsonRows):
        return settings
    for count, part in rows.runs(0, AT_ONCE, AT_ONCE):
        table = part(0, count).without(other)
        if table.separator == ";":
            cells.check_points(table, table.columns)
        if cells.decimal_comma(table, table.columns, settings):
            return settings.model_copy(update={"decimal": ","})
        points = table.frame.select(polars.all().str.strip_chars().str.contains(cells.POINT).any())
        return settings.model_copy(update={"decimal": "."}) if any(points.row(0)) else settings
    return settings


def _name(path: str, first: int, row: int) -> str:
    return f"{path}[{first + row}]"


def reader(table: Callable[[int, int], Table], read: Read) -> Callable[[int, int], Any]:
    """The examples from one row, or group, to before another one."""
    return lambda begin, end: read(table(begin, end))


def _keeper(table: Callable[[int, int], Table]) -> Callable[[int, int, Sequence[str]], polars.DataFrame]:
    return lambda begin, end, names: chosen(table(begin, end), names)


def chosen(table: Table, names: Sequence[str]) -> polars.DataFrame:
    """Some columns; in JSON lines, a key that no row has is null."""
    import polars

    missing = [polars.lit(None).alias(name) for name in names if name not in table.columns]
    return table.frame.with_columns(missing).select(names)


def joined(parts: Sequence[Table]) -> Table:
    """Parts of a file that follow one another, as one table.

    Raises:
        DataError: Their columns differ.
    """
    import polars

    first = parts[0]
    if len(parts) == 1:
        return first
    lines = None if any(part.lines is None for part in parts) else [n for part in parts for n in part.lines or []]
    try:
        frame = polars.concat([part.frame for part in parts])
    except polars.exceptions.PolarsError as error:
        raise DataError(f"{first.path}: the columns of its rows differ ({error}).") from error
    return Table(first.path, frame, first.index, lines, first.separator, first.first)
