"""A mapped file, and advice to the operating system about what will be read from it."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy.typing as npt

from holdfast.data.disk.blocks import arrow

_PAGE = mmap.PAGESIZE


class MappedFile:
    """An Arrow file, mapped for reading.

    Rows are read in random order, so the system is told not to read what follows each of them; what is needed of a
    file is announced instead.

    Args:
        path: The file.

    Attributes:
        reader: The reader of its record batches.

    Raises:
        OSError: It cannot be mapped.
        pyarrow.ArrowException: It is not an Arrow file.
    """

    def __init__(self, path: Path) -> None:
        pa = arrow()
        with path.open("rb") as file:
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._advises = hasattr(self._mapped, "madvise")
        if self._advises:
            self._mapped.madvise(mmap.MADV_RANDOM)
        whole = pa.py_buffer(self._mapped)
        self._begin, self._end = whole.address, whole.address + whole.size
        self.reader: Any = pa.ipc.open_file(pa.BufferReader(whole))

    def will_need(self, begin: int, end: int) -> None:
        """Announces that some addresses of memory, all in this file, are about to be read."""
        if self._advises and self._begin <= begin < end <= self._end:
            start = (begin - self._begin) // _PAGE * _PAGE
            self._mapped.madvise(mmap.MADV_WILLNEED, start, end - self._begin - start)

    def will_read(self, values: npt.NDArray[Any]) -> None:
        """Announces that an array in this file is about to be read, if it is on several pages."""
        if values.nbytes > _PAGE:
            begin = int(values.__array_interface__["data"][0])
            self.will_need(begin, begin + values.nbytes)
