"""NPY files in pieces: each row of the array is an example. Files are mapped, and only the rows of a piece are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.pieces.piece import Piece, no_columns
from holdfast.data.readers import arrays, npy
from holdfast.data.targets import Targets

_AT_ONCE, _BYTES = 2**14, 2**25
"""Rows of a piece, and bytes; there are fewer rows where they are large."""


def array_pieces(
    path: Path, labels: Path | None, targets: Targets, position: Any, *, gaps: bool
) -> Iterator[tuple[Examples, Any]]:
    """Sequences with their targets, as :func:`holdfast.data.readers.npy.read` gives them, some at a time.

    Args:
        path: The inputs, [N, T, C] or [N, T].
        labels: The file of targets; None for inputs without targets.
        targets: What the task learns.
        position: Where to begin: a position that was given before; None for the beginning.
        gaps: Whether NaN stands for a missing value.

    Yields:
        Sequences, and the position after them, a JSON value; None after the last ones.

    Raises:
        DataError: As for the function above.
    """
    inputs = _mapped(path)
    named = {"inputs": inputs, **({} if labels is None else {"labels": _mapped(labels)})}
    sequences = arrays.Sequences(str(path), named, targets, gaps=gaps)
    count = _at_once(inputs)
    for begin in range(0 if position is None else int(position["row"]), len(sequences), count):
        end = min(begin + count, len(sequences))
        after = {"row": end, "byte": end * _bytes(inputs)}
        yield sequences.part(begin, end), None if end == len(sequences) else after


class ArraySource:
    """An array of sequences.

    Args:
        path: The file of an array [N, T, C] or [N, T].
        gaps: Whether NaN stands for a missing value.

    Raises:
        DataError: The file is damaged, or holds an array of another shape or type.
    """

    columns: Sequence[str] = ()
    carried: Sequence[str] = ()

    def __init__(self, path: Path, *, gaps: bool) -> None:
        self.name, inputs = str(path), _mapped(path)
        self._sequences = arrays.Sequences(self.name, {"inputs": inputs}, "labels", gaps=gaps)
        self.at_once = _at_once(inputs)

    def __len__(self) -> int:
        """The number of sequences."""
        return len(self._sequences)

    def pieces(self, begin: int, end: int) -> Iterator[Piece]:
        """As :meth:`holdfast.data.pieces.Source.pieces`."""
        for start in range(begin, end, self.at_once):
            yield Piece(self._sequences.part, no_columns, self._origin, start, min(start + self.at_once, end))

    def _origin(self, row: int) -> str:
        return f"{self.name}[{row}]"


def _mapped(path: Path) -> Array:
    npy.check_header(path)
    return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _bytes(inputs: Array) -> int:
    """The bytes of a row."""
    return int(inputs[:1].nbytes)


def _at_once(inputs: Array) -> int:
    return max(1, min(_AT_ONCE, _BYTES // max(1, _bytes(inputs))))
