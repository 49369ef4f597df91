"""The numbered lines of a text file in UTF-8, many at a time, for readers that take lines with their numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.data.readers.compressed import lines

MOST_LINES = 50_000
"""Lines of a piece."""


def numbered_pieces(
    path: Path, position: Any, *, at_blank: bool = False
) -> Iterator[tuple[list[tuple[int, str]], Any]]:
    """The lines of a text file as :func:`holdfast.data.readers.compressed.lines` gives them, many at a time.

    Args:
        path: The file.
        position: Where to begin: a position that was given before; None for the beginning.
        at_blank: Whether a piece ends with a blank line, if there is one.

    Yields:
        The lines, and the position after them, a JSON value; None after the last ones.
    """
    before, size = (position["line"], position["byte"]) if position else (0, 0)
    piece: list[tuple[int, str]] = []
    for number, line in itertools.islice(lines(path), before, None):
        if len(piece) >= MOST_LINES and (not at_blank or not piece[-1][1].strip() or len(piece) >= 20 * MOST_LINES):
            yield piece, {"line": number - 1, "byte": size}
            piece = []
        piece.append((number, line))
        size += len(line) + 1
    yield piece, None
