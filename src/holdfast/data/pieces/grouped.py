"""Tables in pieces in which the rows of an id, one after another, are an example."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from holdfast.data.pieces import tables
from holdfast.data.pieces.piece import Piece, Source
from holdfast.data.pieces.table_rows import Rows, TableRows
from holdfast.data.pieces.tables import Read, chosen, reader
from holdfast.data.pieces.whole import WholeSource
from holdfast.data.readers.table import Table
from holdfast.errors import HoldfastWarning

if TYPE_CHECKING:
    import polars


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
        for count, rows in self._rows.runs(first, int(self._starts[end]), tables.AT_ONCE):
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
            return chosen(table(start, stop), names).select(polars.all().gather(rows))

        def origin(start: int) -> str:
            return f"{self.name}[id={columns(start, start + 1, [self._id]).item()}]"

        return Piece(reader(table, self._read), columns, origin, 0, end - begin)


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
    return tables.joined(parts)
