"""Writes TensorFlow's checkpoints in the newer form (V2), which TensorFlow 1 and 2 read.

``NAME.data-00000-of-00001`` holds the values one after the other, and ``NAME.index`` a LevelDB table with the place of
each. The formats are those that :mod:`~holdfast.interop.tf1.checkpoint` and
:mod:`~holdfast.interop.tf1.leveldb_table` read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.files.container import replace_file
from holdfast.interop.tf1.crc32c import crc32c
from holdfast.interop.tf1.leveldb_table import MAGIC
from holdfast.interop.tf1.messages import DTYPES

_NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
_BLOCK = 64 * 1024  # bytes in a block of the table, about
_HEADER = b"\x08\x01\x1a\x02\x08\x01"  # BundleHeaderProto: one file with data, little endian, version 1


def write_checkpoint(path: str | Path, variables: Mapping[str, Tensor]) -> None:
    """Writes variables as a checkpoint; files of the same name are replaced when the new ones are complete.

    Args:
        path: The name of the checkpoint, such as ``folder/model.ckpt-1000``.
        variables: The values by their names.

    Raises:
        ConversionError: TensorFlow does not have a variable's dtype.
        OSError: A file cannot be written.

    Example:
        >>> import tempfile
        >>> from holdfast.interop.tf1.checkpoint import Checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_checkpoint(f"{folder}/model.ckpt-1", {"w": torch.arange(3.0)})
        ...     Checkpoint(f"{folder}/model.ckpt-1").read("w")
        tensor([0., 1., 2.])
    """
    path = Path(path)
    entries, data, offset = {b"": _HEADER}, [], 0
    for name, value in sorted(variables.items()):
        number = _NUMBERS.get(value.dtype)
        if number is None:
            raise ConversionError(f"Variable {name} is {value.dtype}, which TensorFlow does not have; leave it out.")
        content = _content(value)
        entries[name.encode()] = _entry(number, tuple(value.shape), offset, content)
        data.append(content)
        offset += len(content)
    replace_file(path.with_name(f"{path.name}.data-00000-of-00001"), *data)
    replace_file(path.with_name(f"{path.name}.index"), _table(sorted(entries.items())))


def _content(value: Tensor) -> memoryview:
    if not value.numel():
        return memoryview(b"")
    content: NDArray[np.uint8] = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return content.data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _entry(dtype: int, shape: tuple[int, ...], offset: int, content: memoryview) -> bytes:
    """A BundleEntryProto; fields that are 0 are left out, as protocol buffers do."""
    sizes = b"".join(_bytes(2, b"\x08" + _varint(size)) for size in shape)
    numbers = [(4, offset), (5, len(content))]
    out = b"\x08" + _varint(dtype) + _bytes(2, sizes)
    out += b"".join(_varint(field << 3) + _varint(value) for field, value in numbers if value)
    return out + _varint(6 << 3 | 5) + _masked(crc32c(content)).to_bytes(4, "little")


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _masked(checksum: int) -> int:
    """A checksum as LevelDB stores it."""
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _table(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A LevelDB table of sorted entries: blocks, an empty block for metadata, the index, and the footer."""
    file, index = bytearray(), []
    block: list[tuple[bytes, bytes]] = []
    size = 0
    for key, value in entries:
        block.append((key, value))
        size += len(key) + len(value)
        if size >= _BLOCK:
            index.append((key, _append(file, block)))
            block, size = [], 0
    if block:
        index.append((block[-1][0], _append(file, block)))
    footer = (_append(file, []) + _append(file, index)).ljust(40, b"\0")
    return bytes(file + footer + MAGIC.to_bytes(8, "little"))


def _append(file: bytearray, entries: list[tuple[bytes, bytes]]) -> bytes:
    """Appends a block to the file and returns its handle. Every key is whole, so each may begin a search."""
    block, restarts = bytearray(), []
    for key, value in entries:
        restarts.append(len(block))
        block += b"\0" + _varint(len(key)) + _varint(len(value)) + key + value
    restarts = restarts or [0]
    block += b"".join(place.to_bytes(4, "little") for place in restarts) + len(restarts).to_bytes(4, "little")
    handle = _varint(len(file)) + _varint(len(block))
    block += b"\0"  # not compressed
    file += block + _masked(crc32c(block)).to_bytes(4, "little")
    return handle
