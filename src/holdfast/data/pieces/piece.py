"""A piece of a file, and the source that it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import polars


class Piece:
    """Some examples of a file that have not been read yet.

    Args:
        read: Takes the first example and the one after the last; returns these examples, without targets.
        columns: Takes the same and names; returns these columns of the file, one row per example.
        origin: Takes the number of an example; returns its name, also where it cannot be read.
        begin: The first example of the piece.
        end: The example after the last one.
    """

    def __init__(
        self,
        read: Callable[[int, int], Any],
        columns: Callable[[int, int, Sequence[str]], polars.DataFrame],
        origin: Callable[[int], str],
        begin: int,
        end: int,
    ) -> None:
        self._read, self._columns, self._origin, self._begin, self._end = read, columns, origin, begin, end

    def __len__(self) -> int:
        """The number of examples."""
        return self._end - self._begin

    def part(self, begin: int, end: int) -> Piece:
        """Some examples of the piece; the numbers count from its first one."""
        return Piece(self._read, self._columns, self._origin, self._begin + begin, self._begin + end)

    def examples(self) -> Any:
        """The examples, without targets.

        Raises:
            DataError: One of them cannot be read.
        """
        return self._read(self._begin, self._end)

    @property
    def origin(self) -> str:
        """The name of the first example."""
        return self._origin(self._begin)

    def columns(self, names: Sequence[str]) -> polars.DataFrame:
        """Columns of the file, one row per example.

        Raises:
            DataError: The file cannot be read.
        """
        return self._columns(self._begin, self._end, names)


class Source(Protocol):
    """Files that are read in pieces."""

    @property
    def name(self) -> str:
        """The path, for messages."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns that can be kept, in the order of the file."""

    @property
    def carried(self) -> Sequence[str]:
        """The columns that name an example, and are always kept, such as the id of a sequence."""

    @property
    def at_once(self) -> int:
        """The number of examples to read at once: more take much memory, fewer are slower."""

    def __len__(self) -> int:
        """The number of examples. The first call may read the whole file once, in bounded memory."""

    def pieces(self, begin: int, end: int) -> Iterator[Piece]:
        """The examples from ``begin`` to before ``end``, in order.

        Raises:
            DataError: The file cannot be read.
        """


def no_columns(begin: int, end: int, names: Sequence[str]) -> polars.DataFrame:
    """The columns of a piece of a file that has none: a frame without columns."""
    import polars

    return polars.DataFrame()
