"""Tensors of Open Inference Protocol v2: datatypes, JSON and binary data, requests and results.

The protocol: https://github.com/kserve/open-inference-protocol; binary data: Triton's extension "binary_tensor_data".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.serve.refusals import Refusal

Array = NDArray[Any]

DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BYTES": np.dtype(object),
}
"""The datatypes by name; an array of BYTES holds objects of the class ``bytes``."""
_NAMES = {dtype: name for name, dtype in DATATYPES.items()}
_MOST_DIMENSIONS = 16
MANY_VALUES = 10_000
"""Values that take a few milliseconds to write as JSON."""


@dataclass(frozen=True)
class TensorInfo:
    """What a model says of an input or an output.

    Attributes:
        name: Its name.
        datatype: A name of :data:`DATATYPES`.
        shape: Its sizes; -1 for one that may be any.
        optional: Whether a request may leave it out.
        labels: The names of the values along the last axis; empty where they have none.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False
    labels: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As the metadata of a model have it."""
        document: dict[str, Any] = {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}
        parameters = {"optional": True} if self.optional else {}
        return document | ({"parameters": parameters} if parameters else {})

    def check(self, array: Array) -> None:
        """Refuses an array of another datatype or shape.

        Raises:
            Refusal: 400.
        """
        datatype = datatype_of(array)
        if datatype != self.datatype:
            raise Refusal(400, f"The input {self.name!r} has datatype {datatype}; expected {self.datatype}.")
        fits = len(array.shape) == len(self.shape) and all(
            expected in (-1, size) for size, expected in zip(array.shape, self.shape, strict=True)
        )
        if not fits:
            raise Refusal(
                400,
                f"The input {self.name!r} has shape {list(array.shape)}; expected {list(self.shape)}, where -1 is any "
                "size.",
            )


@dataclass(frozen=True)
class InferRequest:
    """A request for inference.

    Attributes:
        inputs: The arrays by name, with the datatype and the shape that the request states.
        parameters: Of the request: JSON values by name, such as ``sequence_id``.
        id: To be echoed; None without one.
        outputs: Whether each wanted output is sent as binary data, by name; empty for all outputs of the model.
        binary: Whether outputs are sent as binary data where the request says nothing about one.
    """

    inputs: Mapping[str, Array]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    outputs: Mapping[str, bool] = field(default_factory=dict)
    binary: bool = False


@dataclass(frozen=True)
class InferResult:
    """The answer to one.

    Attributes:
        outputs: The arrays by name.
        parameters: Of the answer: JSON values by name.
    """

    outputs: Mapping[str, Array]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def datatype_of(array: Array) -> str:
    """The name of an array's datatype."""
    return _NAMES[array.dtype.newbyteorder("<") if array.dtype.kind in "uif" else array.dtype]


def count(shape: Sequence[int]) -> int:
    """The number of values in a shape."""
    return math.prod(shape)


def check_shape(name: str, shape: Any, most: int) -> tuple[int, ...]:
    """The shape of a tensor in a request.

    Args:
        name: Of the tensor, for messages.
        shape: From the request.
        most: The largest number of values.

    Raises:
        Refusal: 400 where it is no shape, 413 where it has too many values.
    """
    whole = isinstance(shape, list) and len(shape) <= _MOST_DIMENSIONS
    if not whole or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise Refusal(400, f"The shape of {name!r} is {str(shape)[:60]}; expected a list of sizes from 0 on.")
    if count(shape) > most:
        raise Refusal(
            413, f"The tensor {name!r} has {count(shape):,} values; at most {most:,} are taken (tensor_values)."
        )
    return tuple(shape)


def from_json(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> Array:
    """The array of some JSON data, nested or flat, in row-major order.

    Args:
        name: Of the tensor, for messages.
        datatype: A name of :data:`DATATYPES`.
        shape: Its sizes.
        data: From the request.

    Raises:
        Refusal: 400 where the data do not fit the datatype or the shape.
    """
    values, sizes = _flattened(name, data)
    if len(values) != count(shape) or (len(sizes) > 1 and sizes != shape):
        got = f"{len(values)} values" if len(sizes) < 2 else f"values nested as {list(sizes)}"
        raise Refusal(400, f"The tensor {name!r} has {got}; expected {count(shape)} for its shape {list(shape)}.")
    allowed: dict[str, set[type]] = {"b": {bool}, "u": {int}, "i": {int}, "f": {int, float}, "O": {str}}
    dtype = DATATYPES[datatype]
    if wrong := set(map(type, values)) - allowed[dtype.kind]:
        kinds = ", ".join(sorted("null" if kind is type(None) else kind.__name__ for kind in wrong))
        raise Refusal(400, f"The tensor {name!r} is {datatype} and has values of the kind {kinds}.")
    if dtype.kind == "O":
        return of_bytes([text.encode() for text in values], shape)
    try:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype)
    except OverflowError as error:
        raise Refusal(400, f"The tensor {name!r} has a value that {datatype} does not have.") from error
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise Refusal(400, f"The tensor {name!r} has a value that {datatype} does not have.")
    return array.reshape(shape)


def _flattened(name: str, data: Any) -> tuple[list[Any], tuple[int, ...]]:
    """The values of nested lists, and the sizes of the lists."""
    if not isinstance(data, list):
        raise Refusal(400, f"The data of {name!r} are not a list; expected a list of values, nested or flat.")
    level, sizes = data, [len(data)]
    while level and type(level[0]) is list:
        if set(map(type, level)) != {list} or len(set(map(len, level))) > 1:
            raise Refusal(400, f"The data of {name!r} are ragged; expected lists of one length at each depth.")
        sizes.append(len(level[0]))
        level = list(chain.from_iterable(level))
    return level, tuple(sizes)


def from_binary(name: str, datatype: str, shape: tuple[int, ...], data: bytes | memoryview) -> Array:
    """The array of some binary data: little-endian values; a value of BYTES is its length in 4 bytes and its content.

    Raises:
        Refusal: 400 where the data do not fit the datatype and the shape.
    """
    if datatype == "BYTES":
        return of_bytes(_pieces(name, bytes(data), count(shape)), shape)
    dtype = DATATYPES[datatype]
    if len(data) != count(shape) * dtype.itemsize:
        raise Refusal(
            400,
            f"The tensor {name!r} has {len(data)} bytes of binary data; expected {count(shape) * dtype.itemsize} for "
            f"{datatype} of shape {list(shape)}.",
        )
    if datatype == "BOOL":
        return np.frombuffer(data, np.uint8).astype(np.bool_).reshape(shape)
    return np.frombuffer(data, dtype).reshape(shape)


def _pieces(name: str, data: bytes, number: int) -> list[bytes]:
    pieces, place = [], 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "little")
        place += 4
        if place > len(data) or size > len(data) - place:
            break
        pieces.append(data[place : place + size])
        place += size
    if place != len(data) or len(pieces) != number:
        raise Refusal(400, f"The binary data of {name!r} do not hold {number} texts, each after its length in 4 bytes.")
    return pieces


def of_bytes(values: Iterable[bytes], shape: Sequence[int]) -> Array:
    """An array of BYTES."""
    values = list(values)
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(tuple(shape))


def to_json(array: Array) -> str:
    """The values of an array as JSON lists, nested like its axes. JSON has no NaN and infinities: they become null.

    They are written in pieces: during a call of the encoder, which is in C, no other thread runs Python.

    Args:
        array: With one or two axes.
    """
    step = max(1, MANY_VALUES // max(1, array.size // max(1, len(array))))
    pieces = (_plain(array[start : start + step]) for start in range(0, len(array), step))
    texts = (json.dumps(piece, ensure_ascii=False, allow_nan=False, separators=(",", ":"))[1:-1] for piece in pieces)
    return f"[{','.join(texts)}]"


def _plain(array: Array) -> list[Any]:
    """The values as JSON has them."""
    values: list[Any] = array.tolist()
    if array.dtype.kind == "O":
        return [value.decode("utf-8", "replace") for value in values]
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return values
    if array.ndim == 1:
        return [value if math.isfinite(value) else None for value in values]
    return [[value if math.isfinite(value) else None for value in row] for row in values]


def to_binary(array: Array) -> bytes:
    """The counterpart of :func:`from_binary`."""
    if array.dtype.kind == "O":
        return b"".join(len(value).to_bytes(4, "little") + value for value in array.ravel().tolist())
    return np.ascontiguousarray(array, DATATYPES[datatype_of(array)]).tobytes()
