"""A block of a set: some items of each column, zero-copy from a mapped file."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from holdfast.errors import MissingLibraryError

if TYPE_CHECKING:
    import pyarrow

    from holdfast.data.disk.mapping import MappedFile

Kind = Literal["array", "number", "text", "texts"]
"""What an item of a column is: an array whose first dimension varies, a number, a text, or a list of texts."""
KINDS: tuple[Kind, ...] = ("array", "number", "text", "texts")
Offsets = npt.NDArray[np.int64]


def arrow() -> Any:
    """The library pyarrow.

    Raises:
        MissingLibraryError: It is not installed.
    """
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise MissingLibraryError(
            "data.storage = \"disk\" needs the library pyarrow, which is not installed: pip install 'holdfast[disk]'."
        ) from error
    return pyarrow


class Block:
    """Some items of each column, zero-copy from the mapped file.

    Args:
        batch: The record batch.
        kinds: The kind of each column.
        file: The file that it is mapped from.

    Raises:
        ValueError: The batch does not have these columns.
    """

    def __init__(self, batch: pyarrow.RecordBatch, kinds: Mapping[str, Kind], file: MappedFile | None = None) -> None:
        self._file, self._batch = file, batch
        self._columns: dict[str, tuple[Kind, tuple[Any, ...]]] = {}
        if batch.schema.names != list(kinds):
            raise ValueError(f"its columns are {batch.schema.names}")
        self.buffers = [buffer for column in batch.columns for buffer in column.buffers() if buffer is not None]
        for name, kind in kinds.items():
            self._columns[name] = (kind, _views(kind, batch.column(name)))

    def item(self, name: str, index: int) -> Any:
        """An item; arrays are flat."""
        kind, views = self._columns[name]
        if kind == "number":
            return float(views[0][index])
        offsets = views[0]
        begin, end = int(offsets[index]), int(offsets[index + 1])
        if kind == "array":
            return self.ready(views[1][begin:end])
        if kind == "text":
            return str(views[1][begin:end], "utf-8")
        inner = views[1][begin : end + 1].tolist()
        return [str(views[2][first:last], "utf-8") for first, last in itertools.pairwise(inner)]

    def part(self, name: str, index: int, first: int, last: int) -> npt.NDArray[Any]:
        """Some values of an item of a column of arrays: those from ``first`` to before ``last``, within the item."""
        offsets, values = self._columns[name][1]
        begin, end = int(offsets[index]), int(offsets[index + 1])
        return self.ready(values[begin + first : min(begin + last, end)])

    def ready(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values of this block, which are about to be read."""
        if self._file is not None:
            self._file.will_read(values)
        return values

    def validate(self) -> None:
        """Raises ValueError where an offset is outside its buffer, or a text is not UTF-8."""
        try:
            self._batch.validate(full=True)
        except arrow().ArrowException as error:
            raise ValueError(str(error) or "it is not valid") from error

    def will_need(self, name: str = "") -> None:
        """Announces that all of a column of the block, or of the block, is about to be read."""
        if self._file is None:
            return
        buffers = self.buffers if not name else self._batch.column(name).buffers()
        known = [buffer for buffer in buffers if buffer is not None and buffer.size]
        if known:
            ends = [buffer.address + buffer.size for buffer in known]
            self._file.will_need(min(buffer.address for buffer in known), max(ends))

    def numbers(self, name: str) -> npt.NDArray[Any]:
        """All numbers of a column of numbers, or all values of a column of arrays."""
        kind, views = self._columns[name]
        values: npt.NDArray[Any] = views[0 if kind == "number" else 1]
        return values

    def sizes(self, name: str) -> Offsets:
        """The number of values of each item of a column of arrays or lists."""
        sizes: Offsets = np.diff(self._columns[name][1][0])
        return sizes


def checksum(block: Block) -> int:
    """The CRC-32 of the values of a block."""
    crc = 0
    for buffer in block.buffers:
        crc = zlib.crc32(buffer, crc)
    return crc


def _views(kind: Kind, column: Any) -> tuple[Any, ...]:
    """NumPy's views of a column: its offsets and its values.

    Raises:
        ValueError: It is of another kind.
    """
    pa = arrow()
    if column.offset or column.null_count:
        raise ValueError("a column has missing values or begins within a buffer")
    if kind == "number":
        if column.type != pa.float64():
            raise ValueError(f"a column of numbers holds {column.type}")
        return (column.to_numpy(zero_copy_only=True),)
    offsets = _offsets(column)
    if kind == "text":
        if column.type != pa.large_string():
            raise ValueError(f"a column of texts holds {column.type}")
        return offsets, _bytes_of(column)
    if not pa.types.is_large_list(column.type):
        raise ValueError(f"a column of lists holds {column.type}")
    values = column.values
    if kind == "array":
        if not pa.types.is_primitive(values.type) or values.null_count:
            raise ValueError(f"a column of arrays holds {values.type}")
        return offsets, values.to_numpy(zero_copy_only=True)
    if values.type != pa.large_string() or values.null_count:
        raise ValueError(f"a column of lists of texts holds lists of {values.type}")
    return offsets, _offsets(values), _bytes_of(values)


def _offsets(column: Any) -> Offsets:
    buffer = column.buffers()[1]
    if buffer is None or not len(column):
        return np.zeros(1, np.int64)
    return np.frombuffer(buffer, np.int64, len(column) + 1)


def _bytes_of(column: Any) -> memoryview:
    buffer = column.buffers()[2]
    return memoryview(b"" if buffer is None else buffer)
