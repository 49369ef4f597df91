"""The numbered lines of a text file in UTF-8, one by one or many at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.data.pieces.text_lines import line_pieces
from holdfast.data.readers.paths import check_paths

MOST_LINES = 50_000
"""Lines of a piece."""


def numbered(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file in UTF-8, plain or gzipped: each with its number from 1, without its line break.

    Raises:
        MissingDataError: The file does not exist.
        DataError: It cannot be read, or a line is not UTF-8.
    """
    check_paths([path], kind="file")
    for piece in line_pieces(path, plain=True):
        ended = piece.last and not piece.lines[-1]  # the file ends with a line break
        yield from enumerate(piece.lines[:-1] if ended else piece.lines, piece.before + 1)


def numbered_pieces(
    path: Path, position: Any, *, at_blank: bool = False
) -> Iterator[tuple[list[tuple[int, str]], Any]]:
    """The lines of :func:`numbered`, many at a time.

    Args:
        path: The file.
        position: Where to begin: a position that was given before; None for the beginning.
        at_blank: Whether a piece ends with a blank line, if there is one.

    Yields:
        The lines, and the position after them, a JSON value; None after the last ones.
    """
    before, size = (position["line"], position["byte"]) if position else (0, 0)
    piece: list[tuple[int, str]] = []
    for number, line in itertools.islice(numbered(path), before, None):
        if len(piece) >= MOST_LINES and (not at_blank or not piece[-1][1].strip() or len(piece) >= 20 * MOST_LINES):
            yield piece, {"line": number - 1, "byte": size}
            piece = []
        piece.append((number, line))
        size += len(line) + 1
    yield piece, None
