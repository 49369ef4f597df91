"""Writes TensorFlow 1's checkpoints, both forms, from the description of the formats, for the tests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
DTYPES = {
    name: number
    for number, name in {
        1: "float32",
        2: "float64",
        3: "int32",
        4: "uint8",
        5: "int16",
        6: "int8",
        8: "complex64",
        9: "int64",
        10: "bool",
        17: "uint16",
        18: "complex128",
        19: "float16",
        22: "uint32",
        23: "uint64",
    }.items()
}
LISTS = {"float32": 5, "float64": 6, "complex64": 9, "complex128": 12, "int64": 10, "bool": 11, "float16": 13}
LISTS |= {"uint32": 16, "uint64": 17}  # every other is in 7, int_val
MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def _of_byte(crc: int) -> int:
    for _ in range(8):
        crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc


BYTES = [_of_byte(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    """Byte by byte."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = BYTES[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> bytes:
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def stored_as_literals(data: bytes) -> bytes:
    """Snappy's format without any compression: the length, then runs of bytes as they are."""
    out = varint(len(data))
    for start in range(0, len(data), 60):
        run = data[start : start + 60]
        out += bytes([(len(run) - 1) << 2]) + run
    return out


def block(entries: list[tuple[bytes, bytes]], snappy: bool = False) -> bytes:
    """A block with its trailer; every fourth key is whole."""
    out, restarts, before = b"", [], b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % 4 == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    out += b"".join(at.to_bytes(4, "little") for at in [*restarts, len(restarts)])
    return sealed(stored_as_literals(out), 1) if snappy else sealed(out)


def sealed(content: bytes, compression: int = 0) -> bytes:
    """A block's content with its trailer."""
    whole = content + bytes([compression])
    return whole + masked(crc32c(whole))


def footer(offset: int, size: int) -> bytes:
    return (varint(0) + varint(0) + varint(offset) + varint(size)).ljust(40, b"\0") + MAGIC


def table(entries: Mapping[bytes, bytes], per_block: int = 3, snappy: bool = False) -> bytes:
    ordered = sorted(entries.items())
    out, index = b"", []
    for start in range(0, len(ordered), per_block):
        chunk = ordered[start : start + per_block]
        data = block(chunk, snappy)
        index.append((chunk[-1][0], varint(len(out)) + varint(len(data) - 5)))
        out += data
    data = block(index)
    return out + data + footer(len(out), len(data) - 5)


def shape_of(shape: tuple[int, ...]) -> bytes:
    return b"".join(field(2, field(1, size)) for size in shape)


def slice_of(part: tuple[tuple[int, int], ...]) -> bytes:
    """TensorSliceProto; a whole dimension (0, -1) has no length."""
    extents = []
    for start, length in part:
        extents.append(field(1, (field(1, start) if start else b"") + (field(2, length) if length >= 0 else b"")))
    return b"".join(extents)


def ordered_number(value: int) -> bytes:
    """A signed number up to 8191 in TensorFlow's ordered code."""
    if -64 <= value < 64:
        return bytes([0x80 ^ (value & 0xFF)])
    assert 0 <= value < 8192
    return (0xC000 | value).to_bytes(2, "big")


def slice_key(name: str, part: tuple[tuple[int, int], ...]) -> bytes:
    rank = bytes([1, len(part)]) if part else b"\0"
    return b"\0" + name.encode() + b"\0\1" + rank + b"".join(ordered_number(v) for extent in part for v in extent)


def entry(array: Array, offset: int, shard: int = 0, crc: bytes | None = None) -> bytes:
    """BundleEntryProto."""
    data = array.tobytes()
    out = field(1, DTYPES[array.dtype.name]) + field(2, shape_of(array.shape))
    out += (field(3, shard) if shard else b"") + (field(4, offset) if offset else b"") + field(5, len(data))
    return out + varint(6 << 3 | 5) + (masked(crc32c(data)) if crc is None else crc)


def header(shards: int = 1, swapped: bool = False) -> bytes:
    return field(1, shards) + (field(2, 1) if swapped else b"") + field(3, field(1, 1))


Parts = Mapping[str, list[tuple[int, int]]]
"""Of a variable that is kept in parts along its first dimension: where each begins, and its length."""


def write_v2(
    path: Path, arrays: Mapping[str, Array], parts: Parts | None = None, shards: int = 1, snappy: bool = False
) -> None:
    """``path.index`` and ``path.data-...``."""
    entries, data = {b"": header(shards)}, [b""] * shards

    def add(key: bytes, array: Array) -> None:
        shard = len(entries) % shards
        entries[key] = entry(array, len(data[shard]), shard)
        data[shard] += array.tobytes()

    for name, array in arrays.items():
        pieces = (parts or {}).get(name)
        if pieces is None:
            add(name.encode(), array)
            continue
        slices = b""
        for start, length in pieces:
            part = ((start, length), *[(0, -1)] * (array.ndim - 1))
            slices += field(7, slice_of(part))
            add(slice_key(name, part), array[start : start + length])
        entries[name.encode()] = field(1, DTYPES[array.dtype.name]) + field(2, shape_of(array.shape)) + slices
    path.with_name(path.name + ".index").write_bytes(table(entries, snappy=snappy))
    for number, content in enumerate(data):
        path.with_name(f"{path.name}.data-{number:05}-of-{shards:05}").write_bytes(content)


def tensor_of(array: Array) -> bytes:
    """TensorProto with the values in the list that their dtype has, packed."""
    name = array.dtype.name
    number = LISTS.get(name, 7)
    if number in (5, 6, 9, 12):
        return field(number, array.tobytes())
    if name == "float16":
        array = array.view(np.uint16)
    return field(number, b"".join(varint(int(value)) for value in array.ravel())) if array.size else b""


def saved_slice(name: str, part: tuple[tuple[int, int], ...], array: Array) -> bytes:
    """SavedTensorSlices with a part of a variable."""
    return field(2, field(1, name.encode()) + field(2, slice_of(part)) + field(3, tensor_of(array)))


def meta_of(name: str, array: Array, slices: list[tuple[tuple[int, int], ...]]) -> bytes:
    """SavedSliceMeta."""
    out = field(1, name.encode()) + field(2, shape_of(array.shape)) + field(3, DTYPES[array.dtype.name])
    return out + b"".join(field(4, slice_of(part)) for part in slices)


def v1_entries(arrays: Mapping[str, Array], parts: Parts | None = None) -> dict[bytes, bytes]:
    entries, metas = {}, b""
    for name, array in arrays.items():
        pieces = (parts or {}).get(name)
        whole = [(0, -1)] * max(array.ndim - 1, 0)
        slices = [((start, length), *whole) for start, length in pieces] if pieces else [((0, -1),) * array.ndim]
        for number, part in enumerate(slices):
            values = array[pieces[number][0] : sum(pieces[number])] if pieces else array
            entries[slice_key(name, part)] = saved_slice(name, part, values)
        metas += field(1, meta_of(name, array, slices))
    return {b"": field(1, metas + field(2, field(1, 1))), **entries}


def write_v1(path: Path, arrays: Mapping[str, Array], parts: Parts | None = None, snappy: bool = True) -> None:
    """One table."""
    path.write_bytes(table(v1_entries(arrays, parts), snappy=snappy))


def filled(shapes: Mapping[str, tuple[int, ...]], seed: int = 0, dtype: str = "float32") -> dict[str, Array]:
    """Arrays of random numbers."""
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(math.prod(shape)).reshape(shape).astype(dtype) for name, shape in shapes.items()}
