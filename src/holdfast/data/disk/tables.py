"""Tables in pieces of bounded size, from any place on: blocks of rows of text, and the row groups of Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.data.pieces.delimited_rows import DelimitedRows
from holdfast.data.pieces.table_rows import ParquetRows
from holdfast.data.pieces.tables import joined
from holdfast.data.readers.table import BINARY, Table, unreadable
from holdfast.data.settings import TableSettings

PIECE_BYTES = 2**23
"""Bytes per piece of the columns of Parquet, at 8 bytes per value."""
Hold = Callable[[Table, bool], int]
"""How many of the first rows of a piece are whole examples, given whether the file ends with it."""
FileRows = DelimitedRows | ParquetRows


def rows_of(path: Path, settings: TableSettings, *, texts: bool = False) -> FileRows:
    """The rows of a Parquet, CSV or TSV file, plain or gzipped; the arguments are those of ``table_rows``."""
    return ParquetRows(path) if path.suffix.lower() in BINARY else DelimitedRows(path, settings, texts=texts)


def table_pieces(rows: FileRows, position: Any, hold: Hold | None = None) -> Iterator[tuple[Table, Any]]:
    """The rows of a table, piece by piece.

    A piece depends on where it begins alone, so that a preparation that is resumed has the same ones.

    Args:
        rows: The rows.
        position: Where to begin: a position that was given before; None for the beginning.
        hold: Rows that are not whole examples are read with the next piece; None to take all.

    Yields:
        The rows, and the position after them; None after the last ones. A table without rows is one piece.

    Raises:
        DataError: The file cannot be read.
    """
    first = 0 if position is None else int(position["row"])
    if isinstance(rows, ParquetRows):
        yield from _of_parquet(rows, first, hold)
    else:
        yield from _of_text(rows, first, hold)


def _of_text(rows: DelimitedRows, first: int, hold: Hold | None) -> Iterator[tuple[Table, Any]]:
    blocks = rows.blocks(first)
    following = next(blocks, None)
    if following is None and not first:
        yield rows.empty, None  # the reader says what a table without rows lacks
    held: Table | None = None
    while following is not None:
        (table, size), following = following, next(blocks, None)
        if held is not None:
            table = joined([held, table])
        count = table.frame.height if hold is None else hold(table, following is None)
        if count:
            after = None if following is None else {"row": table.first + count, "byte": size}
            yield table.rows(0, count), after
        held = table.rows(count, table.frame.height) if count < table.frame.height else None


def _of_parquet(rows: ParquetRows, first: int, hold: Hold | None) -> Iterator[tuple[Table, Any]]:
    """A row group of the file is decoded as a whole where that is possible."""
    ends, size = _row_groups(rows.path), rows.path.stat().st_size
    total, most = len(rows), max(1, PIECE_BYTES // (8 * max(1, len(rows.columns))))
    count = most
    while first < total or not total:
        end = _end(ends, first, count)
        table = rows.table(first, end)
        kept = table.frame.height if hold is None else hold(table, end >= total)
        if not kept and end < total:
            count *= 2  # the rows of an id are longer than the piece
            continue
        first, count = first + kept, most
        yield table.rows(0, kept), None if first >= total else {"byte": size * first // total, "row": first}
        if not kept:
            return


def _row_groups(path: Path) -> Any:
    """The row before which each row group ends, [groups + 1], from 0."""
    from holdfast.data.disk.blocks import arrow

    pa = arrow()
    import pyarrow.parquet

    try:
        about = pyarrow.parquet.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error
    return np.cumsum([0, *(about.row_group(number).num_rows for number in range(about.num_row_groups))])


def _end(ends: Any, first: int, count: int) -> int:
    """The row before which a piece ends: the end of a row group where that is near."""
    near = int(ends[int(np.searchsorted(ends, first + 2 * count, "right")) - 1])
    return near if near > first else min(first + count, int(ends[-1]))
