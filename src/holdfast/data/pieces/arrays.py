"""NPY files in pieces: each row of the array is an example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from holdfast.data.examples import Examples
from holdfast.data.pieces.piece import Piece, no_columns
from holdfast.data.readers import arrays, npy

_AT_ONCE, _BYTES = 2**14, 2**25
"""Rows of a piece, and bytes; there are fewer rows where they are large."""


class ArraySource:
    """An array of sequences; its file is mapped into memory, and only the rows of a piece are read.

    Args:
        path: The file of an array [N, T, C] or [N, T].
        gaps: Whether NaN stands for a missing value.

    Raises:
        DataError: The file is damaged, or holds an array of another shape or type.
    """

    columns: Sequence[str] = ()
    carried: Sequence[str] = ()

    def __init__(self, path: Path, *, gaps: bool) -> None:
        self.name, self._gaps = str(path), gaps
        npy.check_header(path)
        self._array = np.load(path, mmap_mode="r", allow_pickle=False)
        arrays.check_inputs(self.name, self._array)

    @property
    def at_once(self) -> int:
        """As :attr:`holdfast.data.pieces.Source.at_once`."""
        return max(1, min(_AT_ONCE, _BYTES // max(1, int(self._array[:1].nbytes))))

    def __len__(self) -> int:
        """The number of sequences."""
        return len(self._array)

    def pieces(self, begin: int, end: int) -> Iterator[Piece]:
        """As :meth:`holdfast.data.pieces.Source.pieces`."""
        for start in range(begin, end, self.at_once):
            yield Piece(self._examples, no_columns, self._origin, start, min(start + self.at_once, end))

    def _origin(self, row: int) -> str:
        return f"{self.name}[{row}]"

    def _examples(self, begin: int, end: int) -> Examples:
        values = np.array(self._array[begin:end])
        return Examples(
            values[:, :, None] if values.ndim == 2 else values,
            None,
            [self._origin(row) for row in range(begin, end)],
            gaps=self._gaps,
        )
