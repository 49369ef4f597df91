"""Tables in pieces of bounded size: rows of text, and the row groups of Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from holdfast.data.readers import delimited
from holdfast.data.readers.compressed import opened
from holdfast.data.readers.encoding import check, decode
from holdfast.data.readers.table import Table, check_library, index_columns, parquet_rows
from holdfast.data.settings import TableSettings
from holdfast.errors import DataError

PIECE_BYTES = 2**23
"""Bytes of text per piece, or of the columns of Parquet, at 8 bytes per value."""
_QUOTE, _LINE = ord('"'), ord("\n")
Hold = Callable[[Table, bool], int]
"""How many of the first rows of a piece are whole examples, given whether the file ends with it."""


def text_pieces(
    path: Path, settings: TableSettings, position: Any, hold: Hold | None = None, *, texts: bool = False
) -> Iterator[tuple[Table, Any]]:
    """The rows of a CSV or TSV file, plain or gzipped, piece by piece.

    Args:
        path: The file, in an encoding whose line feeds are single bytes.
        settings: As for :func:`holdfast.data.readers.table.load`.
        position: Where to begin: a position that was given before; None for the beginning.
        hold: Rows that are not whole examples are read again with the next piece; None to take all.
        texts: As for :func:`holdfast.data.readers.table.load`.

    Yields:
        The rows, and the position after them; None after the last ones.
    """
    check_library(path)
    at = position or {"byte": 0, "line": 0, "row": 0, "layout": None}
    with opened(path) as file:
        skip(file, at["byte"])
        buffer, at_end, wanted = b"", False, PIECE_BYTES
        while True:
            while len(buffer) < wanted and not at_end:
                block = file.read(wanted - len(buffer))
                at_end = len(block) < wanted - len(buffer)
                buffer += block
            if not buffer:
                return
            # a piece depends on where it begins alone, so that a preparation that is resumed has the same ones
            content, ended = buffer[:wanted], at_end and wanted > len(buffer)
            if not at["byte"]:
                check(path, content[:65536], settings.encoding)
            kept = at["layout"]
            layout = None if kept is None else delimited.Layout(**{**kept, "names": tuple(kept["names"])})
            cut = len(content) if ended else _whole_rows(content, layout)
            table, rows = None, 0
            if cut:
                table, layout = _parsed(path, content[:cut], settings, layout, at, texts)
                rows = table.frame.height if hold is None else hold(table, ended)
            if table is None or layout is None or (not rows and table.frame.height and not ended):
                wanted += PIECE_BYTES  # a row, or the rows of an id, are longer than the piece
                continue
            if rows < table.frame.height:
                lines = int((table.lines or [])[rows]) - 1 - at["line"]
                cut, table = _after_lines(content, lines), table.head(rows)
            else:
                lines = content[:cut].count(b"\n")
            buffer, wanted, empty = buffer[cut:], PIECE_BYTES, not (rows or at["row"])
            at = {
                "byte": at["byte"] + cut,
                "line": at["line"] + lines,
                "row": at["row"] + rows,
                "layout": asdict(layout),
            }
            if rows or (empty and not buffer):  # the reader says what a table without rows lacks
                yield table, None if at_end and not buffer else at


def parquet_pieces(path: Path, position: Any, hold: Hold | None = None) -> Iterator[tuple[Table, Any]]:
    """The rows of a Parquet file, piece by piece; a row group of the file is decoded as a whole.

    Args:
        path: The file.
        position: As for :func:`text_pieces`.
        hold: As for :func:`text_pieces`.

    Raises:
        DataError: The file is damaged.
    """
    groups, columns = _row_groups(path)
    total, size = sum(groups), path.stat().st_size
    most = max(1, PIECE_BYTES // (8 * max(1, columns)))
    first, count = (0 if position is None else int(position["row"])), most
    while True:
        end = _end(groups, first, count)
        table = parquet_rows(path, first, end - first)
        ended = end >= total
        rows = table.frame.height if hold is None else hold(table, ended)
        if not rows and not ended:
            count *= 2
            continue
        first, count = first + rows, most
        if first >= total:
            yield table.head(rows), None
            return
        yield table.head(rows), {"byte": size * first // total, "row": first}


def _row_groups(path: Path) -> tuple[list[int], int]:
    """The number of rows of each row group, and the number of columns."""
    from holdfast.data.disk.blocks import arrow

    pa = arrow()
    import pyarrow.parquet

    try:
        about = pyarrow.parquet.read_metadata(path)
        return [about.row_group(number).num_rows for number in range(about.num_row_groups)], about.num_columns
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
        raise DataError(f"{path} cannot be read as a table: it is cut short or malformed ({reason}).") from error


def _end(groups: list[int], first: int, count: int) -> int:
    """The row before which a piece ends: the end of a row group where that is near."""
    ends = np.cumsum([0, *groups])
    near = int(ends[int(np.searchsorted(ends, first + 2 * count, "right")) - 1])
    return near if near > first else min(first + count, int(ends[-1]))


def skip(file: BinaryIO, count: int) -> None:
    """Moves a file at its beginning on by some uncompressed bytes."""
    if file.seekable():
        file.seek(count)
        return
    while count:
        taken = len(file.read(min(count, PIECE_BYTES)))
        if not taken:
            return
        count -= taken


def _whole_rows(content: bytes, layout: delimited.Layout | None) -> int:
    """The bytes of the whole rows; a row may have line feeds within quotes."""
    values = np.frombuffer(content, np.uint8)
    lines = values == _LINE
    if _QUOTE in content:
        quoted = delimited.quotes_enclose(content.decode("latin-1")) or bool(layout and layout.quoted)
        if quoted:
            lines &= np.cumsum(values == _QUOTE, dtype=np.uint8) % 2 == 0
    ends = np.flatnonzero(lines)
    return int(ends[-1]) + 1 if len(ends) else 0


def _after_lines(content: bytes, count: int) -> int:
    """The bytes of the first lines."""
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == _LINE)
    return int(ends[count - 1]) + 1 if count else 0


def _parsed(
    path: Path, content: bytes, settings: TableSettings, layout: delimited.Layout | None, at: Any, texts: bool
) -> tuple[Table, delimited.Layout]:
    text = decode(path, content, settings.encoding, lines_before=at["line"])
    if layout is None:
        parsed = delimited.parse(path, text, settings, comments=not texts)
    else:
        parsed = delimited.parse_more(path, text, settings, layout, comments=not texts, lines_before=at["line"])
    index = index_columns(parsed.layout.names)
    table = Table(path, parsed.frame, index, parsed.lines, parsed.layout.separator, at["row"])
    return table, replace(parsed.layout, names=tuple(parsed.layout.names))
