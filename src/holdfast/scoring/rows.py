"""The examples of several sources as one sequence of rows, in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from holdfast.data.pieces import Piece, Source

BATCH = 256
"""Rows that are computed together: those with the numbers 256 k to 256 k + 255, wherever a run begins or resumes."""
_MOST = 2**14
"""Rows of a block, at most."""


def block_rows(sources: Sequence[Source], part_rows: int) -> int:
    """The number of rows to read at once: a multiple of ``BATCH``."""
    wanted = min([_MOST, part_rows, *(source.at_once for source in sources)])
    return max(BATCH, wanted // BATCH * BATCH)


def blocks(sources: Sequence[Source], begin: int, end: int, size: int) -> Iterator[list[Piece]]:
    """The rows from ``begin`` to before ``end``, in order.

    Args:
        sources: What the rows are read from, one source after another.
        begin: The first row.
        end: The row after the last one.
        size: Rows of each block; the last one may have fewer.

    Returns:
        For each block its pieces.

    Raises:
        DataError: A source cannot be read.
    """
    return windows(_pieces(sources, begin, end), size)


def windows(pieces: Iterable[Piece], size: int) -> Iterator[list[Piece]]:
    """Some pieces as lists of ``size`` rows each; the last one may have fewer."""
    window: list[Piece] = []
    missing = size
    for piece in pieces:
        rest = piece
        while len(rest) >= missing:
            yield [*window, rest.part(0, missing)]
            rest = rest.part(missing, len(rest))
            window, missing = [], size
        if len(rest):
            window.append(rest)
            missing -= len(rest)
    if window:
        yield window


def _pieces(sources: Sequence[Source], begin: int, end: int) -> Iterator[Piece]:
    starts = [0, *accumulate(len(source) for source in sources)]
    for source, start, stop in zip(sources, starts, starts[1:], strict=False):
        first, last = max(begin, start), min(end, stop)
        if first < last:
            yield from source.pieces(first - start, last - start)
