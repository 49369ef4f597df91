"""Parses the messages in a TensorFlow checkpoint, and makes the keys for parts of variables.

The messages are defined in tensor_bundle.proto, saved_tensor_slice.proto, tensor_shape.proto, tensor_slice.proto and
tensor.proto in https://github.com/tensorflow/tensorflow/tree/r1.15/tensorflow/core; the field numbers are in
the code that reads them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from holdfast.interop.tf1.wire import Field, content, fields, number, text, varints
from holdfast.interop.varint import FormatError, signed

STRING = 7
# The numbers of types.proto. The two tables below give the fields of tensor.proto that hold values in the old form.
DTYPES: dict[int, torch.dtype] = {
    1: torch.float32,
    2: torch.float64,
    3: torch.int32,
    4: torch.uint8,
    5: torch.int16,
    6: torch.int8,
    8: torch.complex64,
    9: torch.int64,
    10: torch.bool,
    14: torch.bfloat16,
    17: torch.uint16,
    18: torch.complex128,
    19: torch.float16,
    22: torch.uint32,
    23: torch.uint64,
}
_FIXED = {1: 5, 2: 6, 8: 9, 18: 12}  # stored as bytes
_VARINTS = {3: 7, 4: 7, 5: 7, 6: 7, 9: 10, 10: 11, 14: 13, 17: 7, 19: 13, 22: 16, 23: 17}

Extent = tuple[int, int]
"""Start and length of a part along a dimension; length -1 for all of it."""


class Entry(NamedTuple):
    """A variable or a part of one, in the newer form: BundleEntryProto."""

    dtype: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    crc: int = 0
    slices: tuple[tuple[Extent, ...], ...] = ()


def read_entry(message: memoryview) -> Entry:
    """Parses a BundleEntryProto."""
    numbers: dict[str, int] = {}
    shape: tuple[int, ...] = ()
    slices = []
    for field, value in fields(message):
        if field in (1, 3, 4, 5):
            numbers[{1: "dtype", 3: "shard", 4: "offset", 5: "size"}[field]] = number(value)
        elif field == 2:
            shape = read_shape(content(value))
        elif field == 6:
            numbers["crc"] = int.from_bytes(content(value), "little")
        elif field == 7:
            slices.append(read_slice(content(value)))
    return Entry(shape=shape, slices=tuple(slices), **numbers)


def read_header(message: memoryview) -> tuple[int, bool]:
    """Parses a BundleHeaderProto: the number of files with data, and whether their byte order is swapped."""
    shards, swapped = 0, False
    for field, value in fields(message):
        if field == 1:
            shards = number(value)
        elif field == 2:
            swapped = number(value) != 0
    return shards, swapped


def read_shape(message: memoryview) -> tuple[int, ...]:
    """Parses a TensorShapeProto."""
    sizes = []
    for field, value in fields(message):
        if field == 3 and number(value):
            raise FormatError("a variable has an unknown number of dimensions")
        if field == 2:
            size = 0
            for inner, inner_value in fields(content(value)):
                size = signed(number(inner_value)) if inner == 1 else size
            sizes.append(size)
    if len(sizes) > 254 or min(sizes, default=0) < 0 or math.prod(max(size, 1) for size in sizes) >= 1 << 60:
        raise FormatError(f"a variable claims the shape {str(tuple(sizes))[:80]}")
    return tuple(sizes)


def read_slice(message: memoryview) -> tuple[Extent, ...]:
    """Parses a TensorSliceProto."""
    extents = []
    for field, value in fields(message):
        if field == 1:
            start, length = 0, -1
            for inner, inner_value in fields(content(value)):
                if inner == 1:
                    start = signed(number(inner_value))
                elif inner == 2:
                    length = signed(number(inner_value))
            extents.append((start, length))
    return tuple(extents)


def slices_of(shape: tuple[int, ...], part: tuple[Extent, ...]) -> tuple[slice, ...]:
    """The slices of a variable that a part covers."""
    slices = []
    for size, (start, length) in zip(shape, part, strict=False):
        length = size - start if length == -1 else length
        if start < 0 or length < 0 or start + length > size:
            raise FormatError(f"a part of a variable of shape {shape} lies outside of it")
        slices.append(slice(start, start + length))
    if len(part) != len(shape):
        raise FormatError(f"a part of a variable of shape {shape} has {len(part)} dimensions")
    return tuple(slices)


class Stored(NamedTuple):
    """A variable in the older form."""

    dtype: int
    shape: tuple[int, ...]
    parts: int


class SavedSlice(NamedTuple):
    """A part of a variable with its values, in the older form."""

    name: str
    part: tuple[Extent, ...]
    tensor: memoryview


def read_saved(message: memoryview) -> tuple[dict[str, Stored], SavedSlice | None]:
    """Parses a SavedTensorSlices: all variables, or one part of one."""
    variables: dict[str, Stored] = {}
    saved = None
    for field, value in fields(message):
        if field == 1:
            for inner, inner_value in fields(content(value)):
                if inner == 1:
                    name, stored = _read_meta(content(inner_value))
                    variables[name] = stored
        elif field == 2:
            saved = _read_saved_slice(content(value))
    return variables, saved


def _read_meta(message: memoryview) -> tuple[str, Stored]:
    name, dtype, parts = "", 0, 0
    shape: tuple[int, ...] = ()
    for field, value in fields(message):
        if field == 1:
            name = text(value)
        elif field == 2:
            shape = read_shape(content(value))
        elif field == 3:
            dtype = number(value)
        elif field == 4:
            parts += 1
    return name, Stored(dtype, shape, parts)


def _read_saved_slice(message: memoryview) -> SavedSlice:
    name, tensor = "", memoryview(b"")
    part: tuple[Extent, ...] = ()
    for field, value in fields(message):
        if field == 1:
            name = text(value)
        elif field == 2:
            part = read_slice(content(value))
        elif field == 3:
            tensor = content(value)
    return SavedSlice(name, part, tensor)


def read_values(message: memoryview, dtype: int) -> torch.Tensor:
    """The values of a TensorProto as a vector; it has a list for each kind of numbers."""
    list_field = _FIXED.get(dtype) or _VARINTS[dtype]
    values: list[Field] = [value for field, value in fields(message) if field == list_field]
    if dtype in _FIXED:
        data = bytearray(b"".join(content(value) for value in values))
        if len(data) % DTYPES[dtype].itemsize:
            raise FormatError("a list of numbers ends within a number")
        return torch.frombuffer(data, dtype=DTYPES[dtype]) if data else torch.empty(0, dtype=DTYPES[dtype])
    numbers = np.concatenate([np.zeros(0, np.uint64), *map(varints, values)])
    return _narrowed(numbers, DTYPES[dtype])


def _narrowed(numbers: NDArray[np.uint64], dtype: torch.dtype) -> torch.Tensor:
    """Converts 64-bit numbers to a dtype by their lower bits."""
    if dtype == torch.bool:
        return torch.from_numpy(numbers != 0)
    unsigned = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}[dtype.itemsize]
    lower = numbers.astype(unsigned)
    return torch.from_numpy(lower).view(dtype)


def slice_key(name: str, part: tuple[Extent, ...] | None = None) -> bytes:
    """The key of a part of a variable, in TensorFlow's ordered code; without ``part``, the prefix of all its keys."""
    escaped = name.encode().replace(b"\xff", b"\xff\x00").replace(b"\x00", b"\x00\xff")
    key = b"\x00" + escaped + b"\x00\x01"
    if part is None:
        return key
    length = (len(part).bit_length() + 7) // 8
    key += bytes([length]) + len(part).to_bytes(length, "big")
    return key + b"".join(_ordered(value) for extent in part for value in extent)


def _ordered(value: int) -> bytes:
    """Encodes a signed number so that bytes sort like numbers: a leading one bit per byte, then the number."""
    magnitude = ~value if value < 0 else value
    length = next(n for n in range(1, 11) if magnitude < 1 << (7 * n - 1))
    header = ((1 << length) - 1) << (7 * length)
    encoded = value & ((1 << 8 * length) - 1)
    return (encoded ^ header).to_bytes(length, "big")
