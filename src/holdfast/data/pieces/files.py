"""Many files in pieces: each file is an example, such as an image or a recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.data.pieces.piece import Piece
from holdfast.files.json_values import as_text

if TYPE_CHECKING:
    import polars

File = TypeVar("File")


class FilesSource:
    """Files that are examples.

    Args:
        name: Their folder, for messages.
        files: The files, in order.
        read: Makes the examples from some of them.
    """

    columns: Sequence[str] = ("path",)
    carried: Sequence[str] = ()
    at_once = 2**8

    def __init__(self, name: str, files: Sequence[File], read: Callable[[Sequence[File]], Any]) -> None:
        self.name, self._files, self._read = name, files, read

    def __len__(self) -> int:
        """The number of files."""
        return len(self._files)

    def pieces(self, begin: int, end: int) -> Iterator[Piece]:
        """As :meth:`holdfast.data.pieces.Source.pieces`."""

        def columns(first: int, last: int, names: Sequence[str]) -> polars.DataFrame:
            import polars

            paths = [as_text(self._origin(row)) for row in range(first, last)]
            return polars.DataFrame({"path": paths}, schema={"path": polars.String}).select(names)

        for start in range(begin, end, self.at_once):
            yield Piece(self._examples, columns, self._origin, start, min(start + self.at_once, end))

    def _examples(self, begin: int, end: int) -> Any:
        return self._read(self._files[begin:end])

    def _origin(self, row: int) -> str:
        return str(getattr(self._files[row], "path", self._files[row]))
