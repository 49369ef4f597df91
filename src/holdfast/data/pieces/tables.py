"""Tables in pieces: a row is an example, or the rows of an id are one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from holdfast.data.pieces.delimited_rows import DelimitedRows
from holdfast.data.pieces.piece import Piece, Source
from holdfast.data.pieces.table_rows import JsonRows, ParquetRows, Rows, TableRows
from holdfast.data.pieces.whole import WholeSource
from holdfast.data.readers import values as cells
from holdfast.data.readers.table import BINARY, JSON, Table
from holdfast.data.settings import TableSettings
from holdfast.errors import DataError, HoldfastWarning

if TYPE_CHECKING:
    import polars

Settings = TypeVar("Settings", bound=TableSettings)
Read = Callable[[Table], Any]
"""Makes examples without targets from a table."""
_AT_ONCE, _CELLS = 2**14, 2**22
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
        return min(_AT_ONCE, _CELLS // max(1, len(self.columns)))

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._rows)

    def pieces(self, begin: int, end: int) -> Iterator[Piece]:
        """As :meth:`Source.pieces`."""
        start = begin
        for count, rows in self._rows.runs(begin, end, self.at_once):
            table = lru_cache(maxsize=1)(rows)
            names = partial(_name, self.name, start)
            yield Piece(_reader(table, self._read), _keeper(table), names, 0, count)
            start += count


class GroupedSource:
    """A table in which the rows of an id, one after another, are an example.

    Args:
        rows: Its rows; the rows of each id follow one another.
        read: Makes the examples from whole groups, in their order.
        id_column: The column of ids.
        starts: The first row of each group, and the number of rows, ascending.
        carried: As :attr:`Source.carried`.
    """

    at_once = 2**8

    def __init__(
        self,
        rows: TableRows,
        read: Read,
        id_column: str,
        starts: npt.NDArray[np.int64],
        carried: Sequence[str],
    ) -> None:
        self._rows, self._read, self._id, self._starts = rows, read, id_column, starts
        self.carried = carried

    @property
    def name(self) -> str:
        """The path."""
        return str(self._rows.path)

    @property
    def columns(self) -> Sequence[str]:
        """As :attr:`Source.columns`; the value in the first row of a group is kept."""
        return self._rows.columns

    def __len__(self) -> int:
        """The number of groups."""
        return len(self._starts) - 1

    def pieces(self, begin: int, end: int) -> Iterator[Piece]:
        """As :meth:`Source.pieces`."""
        first = int(self._starts[begin])
        runs: list[tuple[int, Rows]] = []  # rows from ``first`` on that belong to no piece yet
        read = first
        for count, rows in self._rows.runs(first, int(self._starts[end]), _AT_ONCE):
            runs.append((count, rows))
            read += count
            stop = int(np.searchsorted(self._starts, read, "right")) - 1
            if stop > begin:
                yield self._piece(runs, begin, stop)
                runs = _from(runs, int(self._starts[stop]) - first)
                begin, first = stop, int(self._starts[stop])

    def _piece(self, runs: Sequence[tuple[int, Rows]], begin: int, end: int) -> Piece:
        starts = self._starts[begin : end + 1] - self._starts[begin]
        runs = tuple(runs)

        @lru_cache(maxsize=1)
        def table(start: int, stop: int) -> Table:
            return _taken(runs, int(starts[start]), int(starts[stop]))

        def columns(start: int, stop: int, names: Sequence[str]) -> polars.DataFrame:
            import polars

            rows = polars.Series(starts[start:stop] - starts[start])
            return _chosen(table(start, stop), names).select(polars.all().gather(rows))

        def origin(start: int) -> str:
            return f"{self.name}[id={columns(start, start + 1, [self._id]).item()}]"

        return Piece(_reader(table, self._read), columns, origin, 0, end - begin)


def grouped_source(
    rows: TableRows, read: Read, whole: Callable[[], Any], id_column: str, *, carried: bool = True
) -> Source:
    """A table of groups: in pieces where the rows of each id follow one another, else read whole, with a warning.

    Reads the ids once.

    Args:
        rows: The rows of the table.
        read: Makes the examples from whole groups, in their order.
        whole: Reads all examples.
        id_column: The column of ids.
        carried: Whether the ids are kept with the answers; not where these have them.

    Raises:
        DataError: There is no such column, or the table cannot be read.
    """
    if not len(rows):
        return WholeSource(str(rows.path), whole)  # which says what is missing
    starts, again = _groups(rows, id_column)
    if not again:
        return GroupedSource(rows, read, id_column, starts, [id_column] if carried else [])
    warnings.warn(
        f"{rows.path}: the rows of an id do not follow one another, so the file is read whole. To read it in pieces, "
        f"sort it by {id_column!r}.",
        HoldfastWarning,
        stacklevel=2,
    )
    return WholeSource(str(rows.path), whole)


def _groups(rows: TableRows, id_column: str) -> tuple[npt.NDArray[np.int64], bool]:
    """The first row of each group and the number of rows, and whether an id may begin a second group.

    The ids are compared by 64 bits of a hash: where two ids have the same, the file is read whole without need.
    """
    import polars

    starts, seen = [np.zeros(1, np.int64)], list[npt.NDArray[np.uint64]]()
    row, last = 0, None
    for count, part in rows.runs(0, len(rows), 2**16):
        table = part(0, count)
        table.check_column(id_column, "id_column")
        ids = table.frame[id_column].cast(polars.String, strict=False)
        changed = (ids != ids.shift(1)).fill_null(True).to_numpy().copy()
        changed[0] = last is None or ids[0] != last
        places = np.flatnonzero(changed)
        seen.append(ids.gather(places).hash(0).to_numpy())
        starts.append(places[int(row == 0) :] + row)
        row, last = row + count, ids[-1]
    hashes = np.sort(np.concatenate(seen))
    return np.concatenate([*starts, [row]]), bool((hashes[1:] == hashes[:-1]).any())


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
    for count, part in rows.runs(0, _AT_ONCE, _AT_ONCE):
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


def _reader(table: Callable[[int, int], Table], read: Read) -> Callable[[int, int], Any]:
    return lambda begin, end: read(table(begin, end))


def _keeper(table: Callable[[int, int], Table]) -> Callable[[int, int, Sequence[str]], polars.DataFrame]:
    return lambda begin, end, names: _chosen(table(begin, end), names)


def _chosen(table: Table, names: Sequence[str]) -> polars.DataFrame:
    """Some columns; in JSON lines, a key that no row has is null."""
    import polars

    missing = [polars.lit(None).alias(name) for name in names if name not in table.columns]
    return table.frame.with_columns(missing).select(names)


def _from(runs: Sequence[tuple[int, Rows]], begin: int) -> list[tuple[int, Rows]]:
    """The rows of several runs without the first ones."""
    rest = []
    for count, rows in runs:
        if begin < count:
            rest.append((count - begin, partial(_later, rows, begin)) if begin else (count, rows))
        begin = max(0, begin - count)
    return rest


def _later(rows: Rows, first: int, begin: int, end: int) -> Table:
    return rows(first + begin, first + end)


def _taken(runs: Sequence[tuple[int, Rows]], begin: int, end: int) -> Table:
    """The rows from ``begin`` to before ``end`` of several runs, as one table."""
    parts, passed = [], 0
    for count, rows in runs:
        start, stop = max(begin - passed, 0), min(end - passed, count)
        if start < stop:
            parts.append(rows(start, stop))
        passed += count
    return joined(parts)


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
