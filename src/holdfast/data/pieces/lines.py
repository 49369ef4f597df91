"""Text files in pieces: each line that is not blank is an example."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.data.pieces.piece import Piece
from holdfast.data.pieces.text_lines import Lines, line_pieces

if TYPE_CHECKING:
    import polars

Read = Callable[[Sequence[str], Sequence[int]], Any]
"""Makes examples without targets from lines and their numbers in the file, from 0."""


class LinesSource:
    """The lines of a text file, stripped of blanks.

    Args:
        path: The file, plain or gzipped.
        read: Makes the examples.
        encoding: The encoding of the file, by Python's name.
        plain: As for :func:`holdfast.data.pieces.text_lines.line_pieces`.
    """

    columns: Sequence[str] = ("text",)
    carried: Sequence[str] = ()
    at_once = 2**12

    def __init__(self, path: Path, read: Read, encoding: str = "utf-8", *, plain: bool = False) -> None:
        self._path, self._read, self._encoding, self._plain = path, read, encoding, plain

    def _pieces(self) -> Iterator[Lines]:
        return line_pieces(self._path, self._encoding, plain=self._plain)

    @property
    def name(self) -> str:
        """The path."""
        return str(self._path)

    @cached_property
    def _count(self) -> int:
        return sum(1 for piece in self._pieces() for line in piece.lines if line.strip())

    def __len__(self) -> int:
        """The number of lines that are not blank."""
        return self._count

    def pieces(self, begin: int, end: int) -> Iterator[Piece]:
        """As :meth:`holdfast.data.pieces.Source.pieces`."""
        passed = 0
        for piece in self._pieces():
            kept = [(text, place) for place, line in enumerate(piece.lines, piece.before) if (text := line.strip())]
            chosen = kept[max(begin - passed, 0) : max(end - passed, 0)]
            passed += len(kept)
            if chosen:
                yield self._piece([text for text, _ in chosen], [place for _, place in chosen])
            if passed >= end:
                return

    def _piece(self, texts: Sequence[str], places: Sequence[int]) -> Piece:
        def columns(begin: int, end: int, names: Sequence[str]) -> polars.DataFrame:
            import polars

            return polars.DataFrame({"text": texts[begin:end]}, schema={"text": polars.String}).select(names)

        def read(begin: int, end: int) -> Any:
            return self._read(texts[begin:end], places[begin:end])

        return Piece(read, columns, lambda row: f"{self.name}[{places[row]}]", 0, len(texts))
