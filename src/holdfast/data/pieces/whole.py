"""A source that is read at once, when its first example is needed; for kinds of files that cannot be read in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from holdfast.data.pieces.piece import Piece, no_columns


class WholeSource:
    """Examples that are read together.

    Args:
        name: The path, for messages.
        read: Reads the examples; targets are left out.
    """

    columns: Sequence[str] = ()
    carried: Sequence[str] = ()
    at_once = 2**12

    def __init__(self, name: str, read: Callable[[], Any]) -> None:
        self.name, self._read = name, read

    @cached_property
    def _examples(self) -> Any:
        return self._read().unlabelled()

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._examples)

    def pieces(self, begin: int, end: int) -> Iterator[Piece]:
        """As :meth:`holdfast.data.pieces.Source.pieces`: one piece."""
        examples = self._examples
        read, origins = (lambda first, last: examples.subset(range(first, last))), examples.origins
        yield Piece(read, no_columns, lambda row: str(origins[row]), begin, end)
