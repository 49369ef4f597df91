"""How the first and last bytes of a file tell its format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from holdfast.errors import ModelFileError

_START_BYTES = 2**16
_LEVELDB_MAGIC = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
_SECOND_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42\x72"  # the tags of the fields that follow the version in an ONNX model


class FileEnds(NamedTuple):
    """The bytes that tell a file's format.

    Attributes:
        start: The first bytes, up to 65,536.
        end: The last eight bytes.
    """

    start: bytes
    end: bytes


def read_ends(path: Path) -> FileEnds:
    """Reads the first and the last bytes of a file.

    Raises:
        ModelFileError: The file does not exist or cannot be read.
    """
    try:
        with index_or_file(path).open("rb") as handle:
            start = handle.read(_START_BYTES)
            handle.seek(-min(8, handle.seek(0, os.SEEK_END)), os.SEEK_END)
            return FileEnds(start, handle.read())
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} is not there. Check the path.") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.") from error


def index_or_file(path: Path) -> Path:
    """The file itself, or ``PATH.index`` where ``PATH`` is the prefix of a TensorFlow checkpoint's files."""
    index = path.with_name(f"{path.name}.index")
    return index if index.exists() and not path.exists() else path


def is_holdfast(file: FileEnds) -> bool:
    """Whether the file is a safetensors file with Holdfast's metadata."""
    return file.start[8:9] == b"{" and b'"holdfast_' in file.start


def is_pytorch(file: FileEnds) -> bool:
    """Whether ``torch.save`` wrote the file (in its zip or its older form), or it is another safetensors file."""
    if file.start.startswith(b"PK\x03\x04"):
        return b"data.pkl" in file.start or b"/version" in file.start
    return file.start.startswith(b"\x80\x02\x8a\nl\xfc\x9cF\xf9") or (
        file.start[8:9] == b"{" and b'"dtype"' in file.start and not is_holdfast(file)
    )


def is_tf1(file: FileEnds) -> bool:
    """Whether the file is a LevelDB table: every one ends in the same eight bytes."""
    return file.end == _LEVELDB_MAGIC


def is_keras(file: FileEnds) -> bool:
    """Whether the file is the zip of a ``.keras`` file, or an HDF5 file."""
    if file.start.startswith(b"PK\x03\x04"):
        return b"metadata.json" in file.start or b"config.json" in file.start
    return file.start.startswith(b"\x89HDF\r\n\x1a\n")


def is_onnx(file: FileEnds) -> bool:
    """Whether the file is a protobuf whose first field is a small version number, followed by a field of a model."""
    start = file.start[:3]
    return len(start) == 3 and start[0] == 8 and 0 < start[1] < 64 and start[2] in _SECOND_FIELDS
