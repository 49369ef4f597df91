"""Opens ONNX files, which are protocol buffers, without trusting them.

A few bytes of a protocol buffer can ask for a lot of memory, so the fields are counted before the library parses them.
The shape that a tensor claims is compared with the numbers that the file really has.
"""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from holdfast.errors import MissingLibraryError, ModelFileError
from holdfast.interop.onnx.element_types import ELEMENT_TYPES, ElementType
from holdfast.interop.varint import FormatError, read_varint

MAX_BYTES = 2**31 - 1
"""The size limit of one protobuf message."""
MAX_FIELDS = 400_000
"""Nodes, names, attributes and so on per file; a model of a thousand nodes has about thirty thousand."""
MAX_PACKED = 4 * 2**20
"""Bytes of packed integers per file; each byte may take eight bytes in memory."""
_MAX_DEPTH = 60
_MAX_DIMENSIONS = 16
_LONGEST_NAME = 256


def library() -> Any:
    """Imports the library ``onnx``.

    Raises:
        MissingLibraryError: It is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingLibraryError(
            "ONNX files need the library onnx, which cannot be loaded: pip install 'holdfast[onnx]'."
        ) from error
    return onnx


def load(path: Path) -> Any:
    """Reads the ``ModelProto`` of a file.

    Raises:
        ModelFileError: The file does not exist, is not an ONNX model, is truncated or damaged, or is far too large.
        MissingLibraryError: The library ``onnx`` is not installed.
    """
    onnx = library()
    from google.protobuf.message import DecodeError

    try:
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
            if not size:
                raise ModelFileError(f"{path} is empty; expected an ONNX model. Take another copy of it.")
            if size > MAX_BYTES:
                raise ModelFileError(
                    f"{path} has {size:,} bytes; an ONNX file has at most {MAX_BYTES:,}. Keep the weights of a larger "
                    "model in a file beside it (external data)."
                )
            with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
                _FieldCounter(path).count(data, 0, size, onnx.ModelProto.DESCRIPTOR)
                content = data[:]
    except FormatError as error:
        raise ModelFileError(_damaged(path)) from error
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} is not there. Check the path.") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise ModelFileError(_damaged(path)) from error
    if not model.HasField("graph") or not model.opset_import:
        raise ModelFileError(f"{path} is not an ONNX model: it has no graph or no version. Take another copy of it.")
    return model


def _damaged(path: Path) -> str:
    return f"{path} is not an ONNX model, or is truncated or damaged. Take another copy of it."


class _FieldCounter:
    """Counts the fields of a message and of the messages inside it, and refuses too many of them."""

    def __init__(self, path: Path) -> None:
        self._path, self._fields, self._packed = path, 0, 0
        self._known: dict[str, dict[int, Any]] = {}

    def count(self, data: mmap.mmap, at: int, end: int, descriptor: Any, depth: int = 0) -> None:
        """Counts the fields of the message from ``at`` to before ``end``, which has the type ``descriptor``.

        Raises:
            ModelFileError: There are too many fields or integers, the depth is too large, or the bytes are damaged.
            FormatError: A variable-length number does not end.
        """
        if depth > _MAX_DEPTH:
            raise ModelFileError(f"{self._path} has messages within messages, more than {_MAX_DEPTH} deep. Refused.")
        if descriptor.full_name not in self._known:
            self._known[descriptor.full_name] = dict(descriptor.fields_by_number)
        known = self._known[descriptor.full_name]
        while at < end:
            key, at = read_varint(data, at, end)
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise ModelFileError(f"{self._path} has more than {MAX_FIELDS:,} names, nodes and values. Refused.")
            wire = key & 7
            if wire == 0:
                _, at = read_varint(data, at, end)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            elif wire == 2:
                length, at = read_varint(data, at, end)
                if at + length > end:
                    raise ModelFileError(_damaged(self._path))
                field = known.get(key >> 3)
                if field is not None and field.message_type is not None:
                    self.count(data, at, at + length, field.message_type, depth + 1)
                elif field is not None and field.type == field.TYPE_STRING:
                    self._check_text(data[at : at + length])
                elif field is not None and field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64):
                    self._packed += length
                    if self._packed > MAX_PACKED:
                        raise ModelFileError(
                            f"{self._path} has more than {MAX_PACKED:,} bytes of integers outside raw data. Refused."
                        )
                at += length
            else:
                raise ModelFileError(_damaged(self._path))
        if at != end:
            raise ModelFileError(_damaged(self._path))

    def _check_text(self, content: bytes) -> None:
        try:
            content.decode()
        except UnicodeDecodeError as error:
            raise ModelFileError(f"{self._path} has text that is not UTF-8. The file is damaged.") from error


def _element_type(number: int, label: str) -> ElementType:
    """The element type with that number.

    Raises:
        ModelFileError: torch does not compute with this element type.
    """
    if number not in ELEMENT_TYPES:
        types = library().TensorProto.DataType
        name = types.Name(number) if number in types.values() else str(number)
        expected = ", ".join(known.name for known in ELEMENT_TYPES.values())
        raise ModelFileError(f"{label} has elements of type {name}; expected one of {expected}.")
    return ELEMENT_TYPES[number]


def tensor(proto: Any, path: Path) -> Tensor:
    """Copies a ``TensorProto`` of a file into a tensor; data in another file must be in the same folder.

    Raises:
        ModelFileError: The data do not fit the shape or are in another folder, or torch does not have the element type.
    """
    label = f"The tensor {proto.name!r} of {path}" if proto.name else f"A tensor of {path}"
    _, dtype, field, element = _element_type(proto.data_type, label)
    if len(proto.dims) > _MAX_DIMENSIONS:
        raise ModelFileError(
            f"{label} has {len(proto.dims):,} dimensions; expected at most {_MAX_DIMENSIONS}. Refused."
        )
    shape = [int(size) for size in proto.dims]
    if any(size < 0 for size in shape):
        raise ModelFileError(f"{label} has shape {tuple(shape)}; expected sizes from 0 on. The file is damaged.")
    count = math.prod(shape)
    external = proto.data_location == library().TensorProto.EXTERNAL
    if external or proto.HasField("raw_data"):
        expected = count * dtype.itemsize
        raw = _external_bytes(proto, path, label, expected) if external else proto.raw_data
        if len(raw) != expected:
            raise ModelFileError(
                f"{label} claims shape {tuple(shape)}, which takes {expected:,} bytes, and has {len(raw):,}. The file "
                "is damaged."
            )
        if not count:
            return torch.empty(shape, dtype=dtype)
        return torch.frombuffer(bytearray(raw), dtype=dtype).reshape(shape)
    numbers = getattr(proto, field)
    if len(numbers) != count:
        raise ModelFileError(
            f"{label} claims shape {tuple(shape)}, which takes {count:,} numbers, and has {len(numbers):,}. The file "
            "is damaged."
        )
    array: np.ndarray[Any, Any] = np.array(numbers, dtype=np.int64 if field == "int32_data" else element).astype(
        element
    )
    values = torch.from_numpy(array)
    return (values.view(dtype) if element is np.uint16 else values).reshape(shape)


def _external_bytes(proto: Any, path: Path, label: str, expected: int) -> bytes:
    """Reads the bytes of a tensor from another file, which must be in the folder of the model."""
    entries = {entry.key: entry.value for entry in proto.external_data}
    location = entries.get("location", "")
    folder = path.parent.resolve()
    readable = location.isprintable() and 0 < len(location) < _LONGEST_NAME
    place = (folder / location).resolve() if readable else folder.parent
    if not place.is_relative_to(folder):
        raise ModelFileError(f"{label} lies in {location[:80]!r}; expected a file in the folder of the model. Refused.")
    try:
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", str(expected)))
    except ValueError as error:
        raise ModelFileError(f"{label} has an offset or a length that is not a number. The file is damaged.") from error
    if not place.is_file():
        raise ModelFileError(f"{label} lies in {location!r}, which is not there. Put that file beside the model.")
    size = place.stat().st_size
    if length != expected or offset < 0 or offset + length > size:
        raise ModelFileError(
            f"{label} takes {expected:,} bytes; it claims {length:,} from byte {offset:,} of {location!r}, which has "
            f"{size:,}. The file is damaged."
        )
    with place.open("rb") as handle:
        handle.seek(offset)
        return handle.read(length)
