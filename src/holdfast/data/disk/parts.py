"""The files of a set in the cache: Arrow, in blocks of about a mebibyte, each of which has a checksum."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from holdfast.data.disk.blocks import Block, Kind, arrow, checksum
from holdfast.errors import DataError

BLOCK_BYTES = 2**20
"""A block ends with the item that reaches this size."""
_APART = ("origins",)
"""Columns that name files: the digest of the content and the sizes of blocks do not depend on them."""


@dataclass(frozen=True)
class Part:
    """A file of a set, and what it must hold.

    Attributes:
        name: The name of the file.
        size: Its bytes.
        rows: The number of items in each block.
        checksums: The CRC-32 of each block.
        digest: SHA-256 of the values in it, without origins.
    """

    name: str
    size: int
    rows: list[int]
    checksums: list[int]
    digest: str

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        """The part that :meth:`as_dict` described.

        Raises:
            ValueError: It is not one.
        """
        part = cls(**table)
        numbers = [part.size, *part.rows, *part.checksums]
        if not (all(isinstance(number, int) and number >= 0 for number in numbers) and part.name.isalnum()):
            raise ValueError("a part of the set is not described by numbers")
        if len(part.rows) != len(part.checksums):
            raise ValueError("a part of the set does not have one checksum per block")
        return part

    def as_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)


class PartWriter:
    """Writes one file of a set.

    Args:
        path: The file; it has this name only once it is whole.
        kinds: The kind of each column.

    Attributes:
        size: The bytes of the items so far.
    """

    def __init__(self, path: Path, kinds: Mapping[str, Kind]) -> None:
        self._path, self._kinds = path, dict(kinds)
        self._temporary = path.with_name(f"{path.name}.tmp")
        self._items: dict[str, list[Any]] = {name: [] for name in kinds}
        self._waiting = 0
        self._schema: Any = None
        self._writer: Any = None
        self._file: Any = None
        self.size = 0

    def fits(self, dtypes: Mapping[str, np.dtype[Any]]) -> bool:
        """Whether arrays of these types can be written: the types of a file never change."""
        return self._dtypes is None or self._dtypes == dict(dtypes)

    _dtypes: dict[str, np.dtype[Any]] | None = None

    def add(self, columns: Mapping[str, Sequence[Any]], dtypes: Mapping[str, np.dtype[Any]]) -> None:
        """Writes items.

        Args:
            columns: The items of each column, one for each of some examples.
            dtypes: The type of each column of arrays.

        Raises:
            OSError: There is no room.
        """
        self._dtypes = dict(dtypes)
        values = [columns[name] for name in self._kinds]
        for row in zip(*values, strict=True):
            for name, value in zip(self._kinds, row, strict=True):
                self._items[name].append(value)
                self._waiting += 0 if name in _APART else _bytes(value)
            if self._waiting >= BLOCK_BYTES:
                self._flush()

    def close(self) -> Part:
        """Ends the file, and makes it safe from a power cut.

        Raises:
            OSError: There is no room.
        """
        self._flush()
        self._writer.close()
        self._file.close()
        with self._temporary.open("rb") as written:
            os.fsync(written.fileno())
        self._temporary.replace(self._path)
        return _described(self._path, self._kinds)

    def discard(self) -> None:
        """Removes what was written."""
        if self._file is not None:
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _flush(self) -> None:
        pa = arrow()
        names = list(self._kinds)
        if not self._waiting and self._writer is not None:
            return
        dtypes = self._dtypes or {}
        try:
            arrays = [_as_arrow(pa, kind, self._items[name], dtypes.get(name)) for name, kind in self._kinds.items()]
        except UnicodeEncodeError as error:
            raise DataError(
                f"A text holds half a surrogate pair, which is no character ({error.reason}); expected Unicode text."
            ) from error
        batch = pa.RecordBatch.from_arrays(arrays, names=names)
        if self._writer is None:
            self._file = pa.OSFile(str(self._temporary), "wb")
            self._writer = pa.ipc.new_file(self._file, batch.schema)
        self._writer.write_batch(batch)
        self.size += self._waiting
        self._waiting = 0
        for items in self._items.values():
            items.clear()


def _as_arrow(pa: Any, kind: Kind, items: Sequence[Any], dtype: np.dtype[Any] | None) -> Any:
    if kind == "number":
        return pa.array(np.array(items, np.float64))
    if kind == "text":
        return pa.array(items, pa.large_string())
    if kind == "texts":
        return pa.array(items, pa.large_list(pa.large_string()))
    flat = [np.asarray(item).reshape(-1) for item in items]
    values = np.concatenate(flat) if flat else np.zeros(0, dtype)
    offsets = np.cumsum([0, *map(len, flat)], dtype=np.int64)
    return pa.LargeListArray.from_arrays(offsets, pa.array(values.astype(dtype or values.dtype, copy=False)))


def stored_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which values are stored: in the order of bytes of this machine, and without single bits."""
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")


def _bytes(value: Any) -> int:
    """About the bytes of an item in a file."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes) + 8
    if isinstance(value, str):
        return len(value) + 8
    return 8 + sum(map(_bytes, value)) if isinstance(value, list | tuple) else 8


def _described(path: Path, kinds: Mapping[str, Kind]) -> Part:
    """What a file holds that was just written."""
    pa = arrow()
    rows, checksums = [], []
    digest = hashlib.sha256()
    with pa.memory_map(str(path)) as mapped:
        reader = pa.ipc.open_file(mapped)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            block = Block(batch, kinds)
            rows.append(batch.num_rows)
            checksums.append(checksum(block))
            for name in kinds:
                if name not in _APART:
                    _add_to(digest, batch.column(name))
    return Part(path.stem, path.stat().st_size, rows, checksums, digest.hexdigest())


def _add_to(digest: Any, column: Any) -> None:
    for buffer in column.buffers():
        if buffer is not None:
            digest.update(buffer)
