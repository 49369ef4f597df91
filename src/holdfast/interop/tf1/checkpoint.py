"""Reads TensorFlow 1's checkpoints, in both forms, without TensorFlow.

The newer form (V2) is ``NAME.index``, a table of the variables' places, and ``NAME.data-00000-of-00001``, ..., their
values. The older form (V1) is one or more tables with everything. Values are read on demand. A size that a file claims
is only used after a check that the file has that many bytes.
"""

from __future__ import annotations

import difflib
import glob
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop.tf1 import messages
from holdfast.interop.tf1.crc32c import crc32c, unmasked
from holdfast.interop.tf1.leveldb_table import Table
from holdfast.interop.varint import FormatError

_MAX_SHARDS = 99_999  # file names have five digits for them

Part = tuple[tuple[slice, ...], Tensor]
"""The place of a part in its variable, and its values."""


class Variable(NamedTuple):
    """A variable of a checkpoint.

    Attributes:
        shape: Its shape.
        dtype: Its dtype; None for a dtype that torch does not have, such as strings.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype | None


class Checkpoint:
    """A checkpoint, open for reading.

    Args:
        path: The name that the program gave it (``model.ckpt-1000``), its ``.index`` file, or a folder with a file
            ``checkpoint`` that names the last checkpoint.

    Attributes:
        path: The name that the program gave the checkpoint.
        variables: Every variable by name.

    Raises:
        ModelFileError: It does not exist, is damaged, or is not a checkpoint.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = _checkpoint_path(Path(path))
        index = self.path.with_name(f"{self.path.name}.index")
        self._source: _Index | _Tables
        if index.is_file():
            with _with_file_name(index):
                self._source = _Index(self.path, index)
        else:
            tables = [self.path] if self.path.is_file() else _shards(self.path)
            if not tables:
                raise ModelFileError(f"There is no checkpoint {self.path}, nor {index}. Check the path.")
            self._source = _Tables(tables)
        self.variables: Mapping[str, Variable] = MappingProxyType(self._source.variables)

    def __contains__(self, name: object) -> bool:
        return name in self.variables

    def __iter__(self) -> Iterator[str]:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)

    def read(self, name: str) -> Tensor:
        """The values of a variable, in their own memory.

        Args:
            name: The name of the variable.

        Returns:
            A tensor of the shape that :func:`list_variables` says.

        Raises:
            ModelFileError: There is no such variable, or the file is damaged.
            ConversionError: torch does not have its dtype.
        """
        if name not in self.variables:
            close = difflib.get_close_matches(name, self.variables, 1)
            hint = f": did you mean {close[0]!r}?" if close else "."
            raise ModelFileError(f"{self.path} has no variable {name!r}{hint} list_variables lists its variables.")
        if self.variables[name].dtype is None:
            raise ConversionError(
                f"{self.path} has variable {name!r} of a dtype that torch does not have. Leave it out."
            )
        return self._source.read(name)


def list_variables(path: str | Path) -> list[tuple[str, tuple[int, ...], torch.dtype | None]]:
    """The name, shape and dtype of every variable of a checkpoint (``tf.train.list_variables``).

    Args:
        path: The checkpoint, as in :class:`Checkpoint`.

    Raises:
        ModelFileError: As in :class:`Checkpoint`.
    """
    return [(name, *variable) for name, variable in Checkpoint(path).variables.items()]


class _Index:
    """The newer form."""

    def __init__(self, path: Path, index: Path) -> None:
        self._path, self._index = path, index
        self._entries = {}
        header = None
        for key, value in Table(index).items():
            if not key:
                header = messages.read_header(value)
            else:
                self._entries[key] = messages.read_entry(value)
        if header is None:
            raise FormatError("it has no header")
        self._shards, swapped = header
        if swapped:
            raise FormatError("it was written on a machine with the other byte order")
        if not 0 < self._shards <= _MAX_SHARDS:
            raise FormatError(f"it claims to have {self._shards} files with data")
        self.variables = {}
        for key, entry in self._entries.items():
            if key[0]:  # the key of a part of a variable begins with 0
                self.variables[_decode_name(key)] = _variable(entry.dtype, entry.shape)

    def read(self, name: str) -> Tensor:
        with _with_file_name(self._index):
            self._check_claims()
            return self._whole(name, self._entries[name.encode()])

    def _check_claims(self) -> None:
        """Refuses variables that together claim more bytes than the files have: they would overlap."""
        claimed = sum(entry.size for entry in self._entries.values())
        existing = sum(file.stat().st_size for file in map(self._data_file, range(self._shards)) if file.is_file())
        if claimed > existing:
            raise FormatError(f"its variables claim {claimed} bytes, and the files with data have {existing}")

    def _data_file(self, shard: int) -> Path:
        return self._path.with_name(f"{self._path.name}.data-{shard:05}-of-{self._shards:05}")

    def _whole(self, name: str, entry: messages.Entry) -> Tensor:
        if not entry.slices:
            return self._values(entry)
        if len(set(entry.slices)) < len(entry.slices):
            raise FormatError(f"it has a part of variable {name} twice")
        parts = []
        for part in entry.slices:
            part_entry = self._entries.get(messages.slice_key(name, part))
            if part_entry is None or part_entry.dtype != entry.dtype:
                raise FormatError(f"a part of variable {name} is missing")
            parts.append((messages.slices_of(entry.shape, part), self._values(part_entry)))
        return _assembled(name, entry.shape, messages.DTYPES[entry.dtype], parts)

    def _values(self, entry: messages.Entry) -> Tensor:
        dtype = messages.DTYPES[entry.dtype]
        if entry.size != math.prod(entry.shape) * dtype.itemsize:
            raise FormatError(f"a variable of shape {entry.shape} in {dtype} has {entry.size} bytes")
        if entry.shard >= self._shards:
            raise FormatError(f"a variable is in the file number {entry.shard} of {self._shards}")
        file = self._data_file(entry.shard)
        with _with_file_name(file), file.open("rb") as opened:
            if entry.offset + entry.size > opened.seek(0, 2):
                raise FormatError(f"a variable ends at byte {entry.offset + entry.size}, after the end of the file")
            opened.seek(entry.offset)
            data = bytearray(opened.read(entry.size))
            if len(data) != entry.size or crc32c(data) != unmasked(entry.crc):
                raise FormatError(f"the checksum of the {entry.size} bytes from byte {entry.offset} on is wrong")
        return (torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)).view(entry.shape)


class _Tables:
    """The older form."""

    def __init__(self, paths: list[Path]) -> None:
        self._tables = []
        self._stored: dict[str, messages.Stored] = {}
        self.variables: dict[str, Variable] = {}
        for path in paths:
            with _with_file_name(path):
                self._tables.append(Table(path))
                self._list(self._tables[-1])

    def _list(self, table: Table) -> None:
        key, value = next(table.items(), (None, memoryview(b"")))
        if key != b"":
            raise FormatError("it has no list of its variables")
        for name, stored in messages.read_saved(value)[0].items():
            known = self._stored.get(name, stored._replace(parts=0))
            if known[:2] != stored[:2]:
                raise FormatError(f"it has variable {name} twice")
            self._stored[name] = stored._replace(parts=known.parts + stored.parts)
            self.variables[name] = _variable(stored.dtype, stored.shape)

    def read(self, name: str) -> Tensor:
        dtype, shape, count = self._stored[name]
        parts: list[Part] = []
        for table in self._tables:
            with _with_file_name(table.path):
                parts += self._parts(table, name)
        with _with_file_name(self._tables[0].path):
            if len(parts) != count:
                raise FormatError(f"it has {len(parts)} parts of variable {name}, and claims to have {count}")
            return _assembled(name, shape, messages.DTYPES[dtype], parts)

    def _parts(self, table: Table, name: str) -> Iterator[Part]:
        dtype, shape, _ = self._stored[name]
        key = messages.slice_key(name)
        for part_key, value in table.items(key):
            if not part_key.startswith(key):
                break
            saved = messages.read_saved(value)[1]
            if saved is None or saved.name != name:
                raise FormatError(f"it has something else at the place of variable {name}")
            yield messages.slices_of(shape, saved.part), messages.read_values(saved.tensor, dtype)


def _assembled(name: str, shape: tuple[int, ...], dtype: torch.dtype, parts: list[Part]) -> Tensor:
    """Assembles a variable from its parts; checks that they have all of its values before it takes memory."""
    sizes = [tuple(place.stop - place.start for place in places) for places, _ in parts]
    if any(math.prod(size) != values.numel() for size, (_, values) in zip(sizes, parts, strict=True)):
        raise FormatError(f"a part of variable {name} has too few or too many values")
    if sum(map(math.prod, sizes)) != math.prod(shape):
        raise FormatError(f"the parts of variable {name} do not add up to its shape {shape}")
    if len(parts) == 1:
        return parts[0][1].view(shape)
    whole, filled = torch.empty(shape, dtype=dtype), torch.zeros(shape, dtype=torch.bool)
    for places, values in parts:
        whole[places] = values.view(whole[places].shape)
        filled[places] = True
    if not filled.all():
        raise FormatError(f"the parts of variable {name} overlap")
    return whole


def _variable(dtype: int, shape: tuple[int, ...]) -> Variable:
    if dtype not in messages.DTYPES and not messages.STRING <= dtype < 128:
        raise FormatError(f"a variable has the unknown dtype {dtype}")
    return Variable(shape, messages.DTYPES.get(dtype))


def _decode_name(key: bytes) -> str:
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("a name is not UTF-8") from error


def _checkpoint_path(path: Path) -> Path:
    """The name of the checkpoint at a path."""
    if path.is_dir():
        path = path / "checkpoint"
        if not path.is_file():
            raise ModelFileError(f"{path.parent} has no file 'checkpoint' that names one. Give its own path.")
    if path.name == "checkpoint" and path.is_file():
        with _with_file_name(path), path.open("rb") as file:
            listed = file.read(2**16).decode("utf-8", "replace")
        last = re.search(r'^model_checkpoint_path: "([^"\\]+)"', listed, re.MULTILINE)
        if last is not None and Path(last[1]).name:
            return path.with_name(Path(last[1]).name)  # the folder may have moved
    return path.with_suffix("") if path.suffix == ".index" else path


def _shards(path: Path) -> list[Path]:
    """The tables ``NAME-00000-of-00002``, ... of the older form."""
    files = sorted(path.parent.glob(f"{glob.escape(path.name)}-?????-of-?????"))
    count = int(files[0].name[-5:]) if files and files[0].name[-5:].isdecimal() else 0
    return [path.with_name(f"{path.name}-{number:05}-of-{count:05}") for number in range(count)]


@contextmanager
def _with_file_name(path: Path) -> Iterator[None]:
    """A context in which errors of a file become errors with its name."""
    try:
        yield
    except FormatError as error:
        raise ModelFileError(f"{path} is damaged or not a checkpoint: {error}. Take another copy of it.") from error
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} is not there, and belongs to the checkpoint. Copy it too.") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.") from error
